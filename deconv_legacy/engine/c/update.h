/* Update rules of training, elementwise: the formulas of engine/update.py, one pass over memory for each parameter.

   Where the Op may work in place, the arrays are changed where they lie; else copies of them are. */
#include <cmath>

namespace dl {

inline double number(PyArrayObject *a) { return *data<double>(a); }

/* f(p, s, t, g) changes one number of each array; a rule with fewer than three leaves the others alone. */
template <typename T, int N, typename F>
int update(PyArrayObject *const (&given)[N], PyArrayObject *g_, PyArrayObject **const (&out)[N], PyArrayObject *spec,
           const F &f) {
  Array gradient(g_);
  if (!gradient) return 1;
  const int ndim = PyArray_NDIM(given[0]);
  npy_intp *dims = PyArray_DIMS(given[0]);
  const bool in_place = *data<npy_int64>(spec) != 0;
  for (int i = 0; i <= N; i++) {
    PyArrayObject *a = i < N ? given[i] : gradient.a;
    if (PyArray_NDIM(a) != ndim || !PyArray_CompareLists(PyArray_DIMS(a), dims, ndim))
      return explain("update", Py_BuildValue("(NN)", shape_tuple(given[0]), shape_tuple(a)));
  }
  for (int i = 0; i < N; i++) {
    if (in_place && PyArray_IS_C_CONTIGUOUS(given[i]) && PyArray_ISWRITEABLE(given[i])) {
      Py_INCREF(given[i]);
      Py_XDECREF(*out[i]);
      *out[i] = given[i];
    } else if (!prepare<T>(out[i], ndim, dims) || PyArray_CopyInto(*out[i], given[i])) {
      return 1;
    }
  }
  T *__restrict__ p = data<T>(*out[0]);
  T *__restrict__ s = N > 1 ? data<T>(*out[N > 1 ? 1 : 0]) : NULL;
  T *__restrict__ t = N > 2 ? data<T>(*out[N > 2 ? 2 : 0]) : NULL;
  const T *__restrict__ g = data<T>(gradient.a);
  const idx n = PyArray_SIZE(gradient.a);
  Py_BEGIN_ALLOW_THREADS
#pragma omp parallel for simd if (n > 65536)
  for (idx i = 0; i < n; i++) {
    T a = p[i], b = N > 1 ? s[i] : T(0), c = N > 2 ? t[i] : T(0);
    f(a, b, c, g[i]);
    p[i] = a;
    if (N > 1) s[i] = b;
    if (N > 2) t[i] = c;
  }
  Py_END_ALLOW_THREADS
  return 0;
}

typedef PyArrayObject *In;
typedef PyArrayObject **Out;

template <typename T> int update_sgd(In p, In g, In rate_, Out p_, In spec) {
  const T rate = number(rate_);
  return update<T, 1>({p}, g, {p_}, spec, [=](T &p, T &, T &, T g) { p -= rate * g; });
}

template <typename T> int update_momentum(In p, In v, In g, In rate_, In kept_, Out p_, Out v_, In spec) {
  const T rate = number(rate_), kept = number(kept_);
  return update<T, 2>({p, v}, g, {p_, v_}, spec, [=](T &p, T &v, T &, T g) {
    v = kept * v - rate * g;
    p += v;
  });
}

template <typename T> int update_nesterov_momentum(In p, In v, In g, In rate_, In kept_, Out p_, Out v_, In spec) {
  const T rate = number(rate_), kept = number(kept_);
  return update<T, 2>({p, v}, g, {p_, v_}, spec, [=](T &p, T &v, T &, T g) {
    v = kept * v - rate * g;
    p += kept * v - rate * g;
  });
}

template <typename T> int update_adagrad(In p, In s, In g, In rate_, In epsilon_, Out p_, Out s_, In spec) {
  const T rate = number(rate_), epsilon = number(epsilon_);
  return update<T, 2>({p, s}, g, {p_, s_}, spec, [=](T &p, T &s, T &, T g) {
    s += g * g;
    p -= rate * g / std::sqrt(s + epsilon);
  });
}

template <typename T> int update_rmsprop(In p, In s, In g, In rate_, In rho_, In epsilon_, Out p_, Out s_, In spec) {
  const T rate = number(rate_), rho = number(rho_), rest = 1 - number(rho_), epsilon = number(epsilon_);
  return update<T, 2>({p, s}, g, {p_, s_}, spec, [=](T &p, T &s, T &, T g) {
    s = rho * s + rest * (g * g);
    p -= rate * g / std::sqrt(s + epsilon);
  });
}

template <typename T>
int update_adadelta(In p, In s, In t, In g, In rate_, In rho_, In epsilon_, Out p_, Out s_, Out t_, In spec) {
  const T rate = number(rate_), rho = number(rho_), rest = 1 - number(rho_), epsilon = number(epsilon_);
  return update<T, 3>({p, s, t}, g, {p_, s_, t_}, spec, [=](T &p, T &s, T &t, T g) {
    s = rho * s + rest * (g * g);
    const T step = g * std::sqrt(t + epsilon) / std::sqrt(s + epsilon);
    t = rho * t + rest * (step * step);
    p -= rate * step;
  });
}

template <typename T>
int update_adam(In p, In m, In v, In g, In rate_, In beta1_, In beta2_, In epsilon_, In count_, Out p_, Out m_, Out v_,
                In spec) {
  const double count = number(count_), beta1 = number(beta1_), beta2 = number(beta2_);
  const T rate = number(rate_) * std::sqrt(1 - std::pow(beta2, count)) / (1 - std::pow(beta1, count));
  const T b1 = beta1, rest1 = 1 - beta1, b2 = beta2, rest2 = 1 - beta2, epsilon = number(epsilon_);
  return update<T, 3>({p, m, v}, g, {p_, m_, v_}, spec, [=](T &p, T &m, T &v, T g) {
    m = b1 * m + rest1 * g;
    v = b2 * v + rest2 * (g * g);
    p -= rate * m / (std::sqrt(v) + epsilon);
  });
}

} // namespace dl
