/* Local response normalisation across channels, x (N, C, *inner), and its gradient:
   y = x scale ** -beta, scale = k + alpha / size * sum of x^2 over `size` channels around each.

   A block of neighbouring positions is done channel by channel while it lies in the cache. */
#include <cmath>

namespace dl {

struct Lrn {
  idx size, half;
  double alpha, beta, k;
  idx batch, channels, inner;

  /* spec: size, then alpha, beta, k as the bits of float64. */
  Lrn(const npy_int64 *spec, PyArrayObject *x)
      : size(spec[0]), half(spec[0] / 2), alpha(real(spec[1])), beta(real(spec[2])), k(real(spec[3])),
        batch(PyArray_DIM(x, 0)), channels(PyArray_DIM(x, 1)), inner(1) {
    for (int i = 2; i < PyArray_NDIM(x); i++) inner *= PyArray_DIM(x, i);
  }

  static const idx BLOCK = 256;

  /* body(offset of the block's first position, positions) for each block. */
  template <typename F> void block(idx item, F body) const {
    const idx per_image = ceil_div(inner, BLOCK), start = item % per_image * BLOCK;
    body(item / per_image * channels * inner + start, BLOCK < inner - start ? BLOCK : inner - start);
  }
  idx blocks() const { return batch * ceil_div(inner, BLOCK); }

  /* sum[j] = the sum of `value`(index of position j) over the channels around c. */
  template <typename T, typename F> void around(idx c, idx n, idx row, T *sum, F value) const {
    for (idx j = 0; j < n; j++) sum[j] = 0;
    const idx last = c + half < channels - 1 ? c + half : channels - 1;
    for (idx i = c > half ? c - half : 0; i <= last; i++)
      for (idx j = 0; j < n; j++) sum[j] += value(i * row + j);
  }

  /* power[j] = scale[j] ** -beta, where the sum of squares is given in scale; the usual beta needs no logarithm. */
  template <typename T> void powers(idx n, T *scale, T *power) const {
    const T a = T(alpha / size), b = T(k), exponent = T(-beta);
    for (idx j = 0; j < n; j++) scale[j] = b + a * scale[j];
    if (beta == 0.75)
      for (idx j = 0; j < n; j++) power[j] = T(1) / std::sqrt(scale[j] * std::sqrt(scale[j]));
    else
      for (idx j = 0; j < n; j++) power[j] = std::pow(scale[j], exponent);
  }
};

template <typename T> int lrn(PyArrayObject *x_, PyArrayObject **out, PyArrayObject *spec) {
  Array x(x_);
  if (!x || !prepare<T>(out, PyArray_NDIM(x.a), PyArray_DIMS(x.a))) return 1;
  const Lrn p(data<npy_int64>(spec), x.a);
  Py_BEGIN_ALLOW_THREADS
#pragma omp parallel for schedule(static) if (p.blocks() > 1)
  for (idx item = 0; item < p.blocks(); item++)
    p.block(item, [&](idx offset, idx n) {
      const T *from = data<T>(x.a) + offset;
      T *to = data<T>(*out) + offset;
      T scale[Lrn::BLOCK], power[Lrn::BLOCK];
      for (idx c = 0; c < p.channels; c++) {
        p.around(c, n, p.inner, scale, [=](idx i) { return from[i] * from[i]; });
        p.powers(n, scale, power);
        for (idx j = 0; j < n; j++) to[c * p.inner + j] = from[c * p.inner + j] * power[j];
      }
    });
  Py_END_ALLOW_THREADS
  return 0;
}

/* gx = g scale ** -beta - 2 alpha beta / size x * sum of (g x scale ** (-beta - 1)) over the channels around. */
template <typename T>
int lrn_gradient(PyArrayObject *x_, PyArrayObject *g_, PyArrayObject **out, PyArrayObject *spec) {
  Array x(x_), g(g_);
  if (!x || !g) return 1;
  if (!PyArray_SAMESHAPE(x.a, g.a))
    return complain("lrn", "refuse_shapes", Py_BuildValue("(NN)", shape_tuple(x.a), shape_tuple(g.a)));
  if (!prepare<T>(out, PyArray_NDIM(x.a), PyArray_DIMS(x.a))) return 1;
  const Lrn p(data<npy_int64>(spec), x.a);
  bool ok = true;
  Py_BEGIN_ALLOW_THREADS
#pragma omp parallel if (p.blocks() > 1)
  {
    Scratch<T> scratch(p.channels * Lrn::BLOCK);
    if (!scratch.p) ok = false;
    T *ratio = scratch.p;
#pragma omp for schedule(static)
    for (idx item = 0; item < p.blocks(); item++) {
      if (!ok) continue;
      p.block(item, [&](idx offset, idx n) {
        const T *from = data<T>(x.a) + offset, *top = data<T>(g.a) + offset;
        T *to = data<T>(*out) + offset;
        T scale[Lrn::BLOCK], power[Lrn::BLOCK];
        const T factor = T(2 * p.alpha * p.beta / p.size);
        for (idx c = 0; c < p.channels; c++) {
          p.around(c, n, p.inner, scale, [=](idx i) { return from[i] * from[i]; });
          p.powers(n, scale, power);
          for (idx j = 0; j < n; j++) {
            const T direct = top[c * p.inner + j] * power[j];
            to[c * p.inner + j] = direct;
            ratio[c * Lrn::BLOCK + j] = direct * from[c * p.inner + j] / scale[j];
          }
        }
        for (idx c = 0; c < p.channels; c++) {
          p.around(c, n, Lrn::BLOCK, scale, [=](idx i) { return ratio[i]; });
          for (idx j = 0; j < n; j++) to[c * p.inner + j] -= factor * from[c * p.inner + j] * scale[j];
        }
      });
    }
  }
  Py_END_ALLOW_THREADS
  if (!ok) PyErr_NoMemory();
  return ok ? 0 : 1;
}

} // namespace dl
