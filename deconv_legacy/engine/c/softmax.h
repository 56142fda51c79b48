/* Caffe's softmax loss and its gradient. Scores are (outer, classes, inner) in memory, labels (outer, inner).

   A block of neighbouring positions is done class by class, so that memory is read in order. Each position's term is
   kept and all are added at the end, in order: the sum does not depend on the number of threads. */
#include <cfloat>
#include <cmath>
#include <vector>

namespace dl {

enum Normalization { VALID = 0, FULL = 1, BATCH_SIZE = 2, NONE = 3 };

struct SoftmaxLoss {
  idx axis, ignores, ignored, normalization, caffe_sum;
  idx outer, classes, inner, counted;
  static const idx BLOCK = 256;

  /* spec: axis, whether there is an ignored label, that label, normalization, caffe_cpu_sum. */
  explicit SoftmaxLoss(const npy_int64 *spec)
      : axis(spec[0]), ignores(spec[1]), ignored(spec[2]), normalization(spec[3]), caffe_sum(spec[4]),
        outer(1), classes(0), inner(1), counted(0) {}

  bool counts(idx label) const { return !(ignores && label == ignored); }

  /* Shapes must go together and labels be classes; `given` are the labels before they were truncated. */
  bool resolve(PyArrayObject *scores, PyArrayObject *given, PyArrayObject *labels) {
    for (int i = 0; i < PyArray_NDIM(scores); i++) (i < axis ? outer : i > axis ? inner : classes) *= PyArray_DIM(scores, i);
    classes = PyArray_DIM(scores, axis);
    PyObject *fits = ask("softmax", "check_labels", Py_BuildValue("(NNn)", shape_tuple(scores), shape_tuple(labels), axis));
    if (!fits) return false;
    Py_DECREF(fits);
    const npy_int64 *label = data<npy_int64>(labels);
    for (idx i = 0; i < outer * inner; i++) {
      if (!counts(label[i])) continue;
      counted++;
      if (label[i] < 0 || label[i] >= classes) {
        complain("softmax", "refuse_label", Py_BuildValue("(Onn)", given, i, classes));
        return false;
      }
    }
    return true;
  }

  double divisor() const {
    const idx n = normalization == VALID ? counted : normalization == FULL ? outer * inner : normalization == BATCH_SIZE ? outer : 1;
    return n > 1 ? double(n) : 1.0;
  }

  /* body(offset of the block's first score, index of its first label, positions) for each block, in parallel. */
  template <typename F> void blocks(F body) const {
    const idx per_image = ceil_div(inner, BLOCK);
#pragma omp parallel for schedule(static) if (outer * classes * inner > (1 << 14))
    for (idx item = 0; item < outer * per_image; item++) {
      const idx image = item / per_image, start = item % per_image * BLOCK;
      const idx n = BLOCK < inner - start ? BLOCK : inner - start;
      body(image * classes * inner + start, image * inner + start, n);
    }
  }
};

/* highest[j] = the highest score of position j; A is the type that is computed in. */
template <typename A, typename T>
inline void highest_scores(const SoftmaxLoss &p, const T *x, idx n, A *highest) {
  for (idx j = 0; j < n; j++) highest[j] = A(x[j]);
  for (idx k = 1; k < p.classes; k++) {
    const T *row = x + k * p.inner;
    for (idx j = 0; j < n; j++) highest[j] = A(row[j]) > highest[j] ? A(row[j]) : highest[j];
  }
}

/* The terms of a block, exact: log(sum of exp(x - highest)) - (x of the label - highest), the sum in float64. */
template <typename T>
inline void loss_terms(const SoftmaxLoss &p, const T *x, const npy_int64 *label, idx n, double *terms) {
  T highest[SoftmaxLoss::BLOCK];
  double sum[SoftmaxLoss::BLOCK] = {0};
  highest_scores(p, x, n, highest);
  for (idx k = 0; k < p.classes; k++)
    for (idx j = 0; j < n; j++) sum[j] += std::exp(x[k * p.inner + j] - highest[j]);
  const double most = -std::log(double(FLT_MIN)); /* Caffe's -log(max(p, FLT_MIN)) */
  for (idx j = 0; j < n; j++) {
    terms[j] = 0;
    if (!p.counts(label[j])) continue;
    const double term = std::log(sum[j]) - (double(x[label[j] * p.inner + j]) - double(highest[j]));
    terms[j] = term > most ? most : term;
  }
}

/* The same in Caffe's steps, all of them float32. */
template <typename T>
inline void caffe_loss_terms(const SoftmaxLoss &p, const T *x, const npy_int64 *label, idx n, double *terms) {
  float highest[SoftmaxLoss::BLOCK], sum[SoftmaxLoss::BLOCK] = {0};
  highest_scores(p, x, n, highest);
  for (idx k = 0; k < p.classes; k++)
    for (idx j = 0; j < n; j++) sum[j] += std::exp(float(x[k * p.inner + j]) - highest[j]);
  for (idx j = 0; j < n; j++) {
    terms[j] = 0;
    if (!p.counts(label[j])) continue;
    const float probability = std::exp(float(x[label[j] * p.inner + j]) - highest[j]) / sum[j];
    /* a NaN stays one */
    terms[j] = -std::log(probability < FLT_MIN ? FLT_MIN : probability);
  }
}

template <typename T>
int softmax_loss(PyArrayObject *scores, PyArrayObject *labels, PyArrayObject **out, PyArrayObject *spec) {
  SoftmaxLoss p(data<npy_int64>(spec));
  Array x(scores);
  Integers label(labels);
  if (!x || !label || !p.resolve(x.a, labels, label.a) || !prepare<T>(out, 0, NULL)) return 1;
  Scratch<double> terms(p.outer * p.inner);
  if (!terms.p) {
    PyErr_NoMemory();
    return 1;
  }
  Py_BEGIN_ALLOW_THREADS
  const T *from = data<T>(x.a);
  const npy_int64 *classes = data<npy_int64>(label.a);
  p.blocks([&](idx score, idx position, idx n) {
    (p.caffe_sum ? caffe_loss_terms<T> : loss_terms<T>)(p, from + score, classes + position, n, terms.p + position);
  });
  double sum = 0;
  float caffe_sum = 0;
  for (idx i = 0; i < p.outer * p.inner; i++) {
    sum += terms.p[i];
    caffe_sum += float(terms.p[i]);
  }
  *data<T>(*out) = p.caffe_sum ? T(caffe_sum / float(p.divisor())) : T(sum / p.divisor());
  Py_END_ALLOW_THREADS
  return 0;
}

/* gx = (softmax - 1 at the label) * g / divisor, 0 at ignored labels. */
template <typename T>
int softmax_loss_gradient(PyArrayObject *scores, PyArrayObject *labels, PyArrayObject *g, PyArrayObject **out,
                          PyArrayObject *spec) {
  SoftmaxLoss p(data<npy_int64>(spec));
  Array x(scores);
  Integers label(labels);
  if (!x || !label || !p.resolve(x.a, labels, label.a)) return 1;
  if (!prepare<T>(out, PyArray_NDIM(x.a), PyArray_DIMS(x.a))) return 1;
  const double weight = double(*data<T>(g)) / p.divisor();
  Py_BEGIN_ALLOW_THREADS
  p.blocks([&](idx score, idx position, idx n) {
    const T *from = data<T>(x.a) + score;
    T *to = data<T>(*out) + score;
    const npy_int64 *classes = data<npy_int64>(label.a) + position;
    T highest[SoftmaxLoss::BLOCK], factor[SoftmaxLoss::BLOCK];
    double sum[SoftmaxLoss::BLOCK] = {0};
    highest_scores(p, from, n, highest);
    for (idx k = 0; k < p.classes; k++)
      for (idx j = 0; j < n; j++) {
        to[k * p.inner + j] = std::exp(from[k * p.inner + j] - highest[j]);
        sum[j] += to[k * p.inner + j];
      }
    for (idx j = 0; j < n; j++) factor[j] = T(weight / sum[j]);
    for (idx k = 0; k < p.classes; k++)
      for (idx j = 0; j < n; j++) to[k * p.inner + j] *= factor[j];
    for (idx j = 0; j < n; j++) {
      if (p.counts(classes[j]))
        to[classes[j] * p.inner + j] -= T(weight);
      else
        for (idx k = 0; k < p.classes; k++) to[k * p.inner + j] = 0;
    }
  });
  Py_END_ALLOW_THREADS
  return 0;
}

} // namespace dl
