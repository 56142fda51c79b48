/* max(x, 0), elementwise; `v <= 0` is false for a NaN, which therefore stays. */

namespace dl {

template <typename T> int relu(PyArrayObject *x_, PyArrayObject **out, PyArrayObject *) {
  Array x(x_);
  if (!x || !prepare<T>(out, PyArray_NDIM(x.a), PyArray_DIMS(x.a))) return 1;
  const T *from = data<T>(x.a);
  T *to = data<T>(*out);
  const idx n = PyArray_SIZE(x.a);
  Py_BEGIN_ALLOW_THREADS
#pragma omp parallel for if (n > 65536)
  for (idx i = 0; i < n; i++) to[i] = from[i] <= T(0) ? T(0) : from[i];
  Py_END_ALLOW_THREADS
  return 0;
}

} // namespace dl
