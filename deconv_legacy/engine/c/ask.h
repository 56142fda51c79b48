/* Questions that Python answers, once, for C and NumPy alike: how many windows a pooling has, what is wrong with a
   label. Called with the GIL held. */

namespace dl {

/* deconv_legacy.engine.<module>.<function>(*arguments): a new reference, or NULL with the exception set.
   `arguments` is a new tuple, which is consumed. */
inline PyObject *ask(const char *module, const char *function, PyObject *arguments) {
  if (arguments == NULL) return NULL;
  PyObject *name = PyUnicode_FromFormat("deconv_legacy.engine.%s", module);
  PyObject *found = name ? PyImport_Import(name) : NULL;
  PyObject *callable = found ? PyObject_GetAttrString(found, function) : NULL;
  PyObject *result = callable ? PyObject_CallObject(callable, arguments) : NULL;
  Py_XDECREF(callable);
  Py_XDECREF(found);
  Py_XDECREF(name);
  Py_DECREF(arguments);
  return result;
}

/* A question whose answer is an exception. */
inline int complain(const char *module, const char *function, PyObject *arguments) {
  PyObject *result = ask(module, function, arguments);
  if (result) PyErr_Format(PyExc_RuntimeError, "%s.%s found nothing to complain about", module, function);
  Py_XDECREF(result);
  return 1;
}

inline PyObject *spec_tuple(PyArrayObject *spec) { return int_tuple(data<npy_int64>(spec), PyArray_SIZE(spec)); }

/* A real number of Op.spec: there it stands as the bits of a float64. */
inline double real(npy_int64 bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/* Whole numbers, as int64 in C order: labels and masks, which Caffe keeps as floats. Floats are truncated; NaN and
   what int64 cannot hold become its least number, which is never legal. */
struct Integers {
  PyArrayObject *a;
  explicit Integers(PyArrayObject *source) : a(NULL) {
    if (PyArray_TYPE(source) == NPY_FLOAT32)
      truncate<float>(source);
    else if (PyArray_TYPE(source) == NPY_FLOAT64)
      truncate<double>(source);
    else
      a = reinterpret_cast<PyArrayObject *>(PyArray_FROMANY(reinterpret_cast<PyObject *>(source), NPY_INT64, 0, 0,
                                                            NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_FORCECAST));
  }
  template <typename T> void truncate(PyArrayObject *source) {
    Array given(source);
    if (!given || !prepare<npy_int64>(&a, PyArray_NDIM(given.a), PyArray_DIMS(given.a))) return;
    const T *from = data<T>(given.a);
    const T limit = T(1LL << 62);
    npy_int64 *to = data<npy_int64>(a);
    for (idx i = 0; i < PyArray_SIZE(a); i++)
      to[i] = from[i] > -limit && from[i] < limit ? npy_int64(from[i]) : std::numeric_limits<npy_int64>::min();
  }
  ~Integers() { Py_XDECREF(a); }
  operator bool() const { return a != NULL; }
  Integers(const Integers &) = delete;
  Integers &operator=(const Integers &) = delete;
};

} // namespace dl
