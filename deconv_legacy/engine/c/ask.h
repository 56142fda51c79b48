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

/* The same numbers as `type`, in C order; float labels and masks are truncated, as Caffe does. */
struct Cast {
  PyArrayObject *a;
  Cast(PyArrayObject *source, int type)
      : a(reinterpret_cast<PyArrayObject *>(PyArray_FROMANY(reinterpret_cast<PyObject *>(source), type, 0, 0,
                                                            NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_FORCECAST))) {}
  ~Cast() { Py_XDECREF(a); }
  operator bool() const { return a != NULL; }
  Cast(const Cast &) = delete;
  Cast &operator=(const Cast &) = delete;
};

} // namespace dl
