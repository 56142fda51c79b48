/* What every C Op of this engine shares: contiguous inputs, outputs that reuse their storage, errors. */
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#endif

namespace dl {

typedef npy_intp idx;

inline idx ceil_div(idx a, idx b) { return (a + b - 1) / b; }

template <typename T> struct numpy_type;
template <> struct numpy_type<float> { enum { num = NPY_FLOAT32 }; };
template <> struct numpy_type<double> { enum { num = NPY_FLOAT64 }; };
template <> struct numpy_type<npy_int64> { enum { num = NPY_INT64 }; };

template <typename T> inline T *data(PyArrayObject *a) { return static_cast<T *>(PyArray_DATA(a)); }

#ifdef _OPENMP
/* OpenMP's threads do not live on in a forked process, where GNU's library would wait for them for ever: it goes on
   with one thread. Registered when the module is loaded. */
static void use_one_thread() { omp_set_num_threads(1); }
static const int forks_are_safe = pthread_atfork(NULL, NULL, use_one_thread);
#endif

inline int max_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/* An array owned for one scope: a new reference that is dropped at the end. */
struct Array {
  PyArrayObject *a;
  /* The same numbers in C order; no copy when they are so already. */
  explicit Array(PyArrayObject *source) : a(source ? PyArray_GETCONTIGUOUS(source) : NULL) {}
  ~Array() { Py_XDECREF(a); }
  operator bool() const { return a != NULL; }
  idx dim(int i) const { return PyArray_DIM(a, i); }
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
};

/* Give *out the shape asked for; its storage of the last call is used again where it fits. */
template <typename T> inline bool prepare(PyArrayObject **out, int ndim, const idx *dims) {
  if (*out && PyArray_NDIM(*out) == ndim && PyArray_TYPE(*out) == numpy_type<T>::num &&
      PyArray_IS_C_CONTIGUOUS(*out) && PyArray_ISWRITEABLE(*out) &&
      PyArray_CompareLists(PyArray_DIMS(*out), const_cast<npy_intp *>(dims), ndim))
    return true;
  Py_XDECREF(*out);
  *out = reinterpret_cast<PyArrayObject *>(
      PyArray_EMPTY(ndim, const_cast<npy_intp *>(dims), numpy_type<T>::num, 0));
  return *out != NULL;
}

/* Let Python say what is wrong: the checks and their words stand once, in engine/_explain.py.
   Called with the GIL held. Always returns a failure. */
inline int explain(const char *what, PyObject *arguments) {
  if (arguments == NULL) return 1;
  PyObject *module = PyImport_ImportModule("deconv_legacy.engine._explain");
  PyObject *function = module ? PyObject_GetAttrString(module, what) : NULL;
  PyObject *result = function ? PyObject_CallObject(function, arguments) : NULL;
  if (result)
    PyErr_Format(PyExc_RuntimeError, "%s: inconsistent arguments (and the explanation found none)", what);
  Py_XDECREF(result);
  Py_XDECREF(function);
  Py_XDECREF(module);
  Py_DECREF(arguments);
  return 1;
}

inline PyObject *shape_tuple(PyArrayObject *a) {
  PyObject *t = PyTuple_New(PyArray_NDIM(a));
  for (int i = 0; t && i < PyArray_NDIM(a); i++) PyTuple_SET_ITEM(t, i, PyLong_FromSsize_t(PyArray_DIM(a, i)));
  return t;
}

inline PyObject *int_tuple(const npy_int64 *values, idx n) {
  PyObject *t = PyTuple_New(n);
  for (idx i = 0; t && i < n; i++) PyTuple_SET_ITEM(t, i, PyLong_FromLongLong(values[i]));
  return t;
}

/* Scratch memory of one thread: aligned for vector instructions, never initialised. */
template <typename T> struct Scratch {
  T *p;
  explicit Scratch(idx n) : p(NULL) {
    if (posix_memalign(reinterpret_cast<void **>(&p), 64, (n > 0 ? n : 1) * sizeof(T))) p = NULL;
  }
  ~Scratch() { std::free(p); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
};

} // namespace dl
