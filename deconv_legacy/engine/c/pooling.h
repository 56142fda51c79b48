/* Pooling and its gradients, for one to three spatial axes, which are the last ones; the axes before count planes.

   One- and two-dimensional problems are three-dimensional ones with leading axes of size 1.
   A row of windows is walked tap by tap, in the row-major order of the window: each step is one loop over
   neighbouring windows, which compilers turn into vector instructions. Tap by tap, a strict > keeps the first maximum.
   Forward, a thread owns rows of windows; backward, whole planes. So nothing depends on the number of threads. */
#include <algorithm>
#include <vector>

namespace dl {

struct Windows {
  idx kernel[3], stride[3], before[3], after[3], out[3], in[3];
  idx planes, in_plane, out_plane;
  int nd;
  std::vector<idx> lo, hi; /* the windows of a row whose tap t lies inside the image: lo[t] .. hi[t] */

  /* Asks Python for the windows of an image of shape `dims`. `images` and `outputs`, new tuples, are the shapes of
     all arrays that must be like the image or like the output. */
  bool resolve(PyArrayObject *spec, int ndim, const idx *dims, PyObject *images, PyObject *outputs) {
    nd = static_cast<int>(data<npy_int64>(spec)[0]);
    PyObject *plan = ask("_windows", "plan", Py_BuildValue("(NNN)", spec_tuple(spec), images, outputs));
    if (!plan) return false;
    idx *fields[5] = {kernel, stride, before, after, out};
    for (int f = 0; f < 5; f++)
      for (int a = 0; a < 3; a++) fields[f][a] = PyLong_AsSsize_t(PyTuple_GET_ITEM(plan, 3 * f + a));
    Py_DECREF(plan);
    if (PyErr_Occurred()) return false;
    planes = in_plane = out_plane = 1;
    for (int i = 0; i < ndim - nd; i++) planes *= dims[i];
    for (int a = 0; a < 3; a++) {
      in[a] = a < 3 - nd ? 1 : dims[ndim - 3 + a];
      in_plane *= in[a];
      out_plane *= out[a];
    }
    lo.resize(kernel[2]);
    hi.resize(kernel[2]);
    for (idx t = 0; t < kernel[2]; t++) {
      const idx shift = t - before[2];
      lo[t] = shift >= 0 ? 0 : ceil_div(-shift, stride[2]);
      hi[t] = in[2] - shift <= 0 ? 0 : ceil_div(in[2] - shift, stride[2]);
      if (hi[t] > out[2]) hi[t] = out[2];
      if (lo[t] > hi[t]) lo[t] = hi[t];
    }
    return true;
  }

  idx rows() const { return out[0] * out[1]; }

  /* The cells from `first` to `last` that window i of an axis has in the image. */
  void clip(int axis, idx i, idx *first, idx *last) const {
    *first = i * stride[axis] - before[axis];
    *last = *first + kernel[axis] < in[axis] ? *first + kernel[axis] : in[axis];
    if (*first < 0) *first = 0;
  }

  /* By how many cells of an axis window i divides: all before the end of the padding, or those in the image. */
  idx count(int axis, idx i, bool padding) const {
    if (!padding) {
      idx first, last;
      clip(axis, i, &first, &last);
      return last > first ? last - first : 0;
    }
    const idx start = i * stride[axis] - before[axis], end = in[axis] + after[axis];
    return (start + kernel[axis] < end ? start + kernel[axis] : end) - start;
  }

  /* body(t, offset) for each tap of a row of windows; offset is where tap t of window 0 lies in the plane. */
  template <typename F> void taps(idx row, F body) const {
    idx d0, d1, h0, h1;
    clip(0, row / out[1], &d0, &d1);
    clip(1, row % out[1], &h0, &h1);
    for (idx d = d0; d < d1; d++)
      for (idx h = h0; h < h1; h++)
        for (idx t = 0; t < kernel[2]; t++)
          if (lo[t] < hi[t]) body(t, (d * in[1] + h) * in[2] + t - before[2]);
  }
};

/* body(j) for j from lo to hi, where body reads cell j * step(); the usual strides are known to the compiler. */
template <typename F> inline void along(idx stride, idx lo, idx hi, F body) {
  if (stride == 1)
    for (idx j = lo; j < hi; j++) body(j, j);
  else if (stride == 2)
    for (idx j = lo; j < hi; j++) body(j, j * 2);
  else
    for (idx j = lo; j < hi; j++) body(j, j * stride);
}

/* Caffe's loops start there, for float64 too; what is not above it never wins. */
const float LOWEST = -std::numeric_limits<float>::max();

enum Ties { FIRST = 0, ALL = 1 };

template <typename T> inline T max_start(idx ties) {
  return ties == FIRST ? T(LOWEST) : -std::numeric_limits<T>::infinity();
}

const idx FEW = 1 << 14; /* elements below which a second thread does not pay */

template <typename T> void max_values(const Windows &p, idx ties, const T *x, T *y) {
  const idx width = p.out[2], items = p.planes * p.rows();
#pragma omp parallel for schedule(static) if (p.planes * p.in_plane > FEW)
  for (idx item = 0; item < items; item++) {
    const T *plane = x + item / p.rows() * p.in_plane;
    T *__restrict best = y + item * width;
    std::fill(best, best + width, max_start<T>(ties));
    p.taps(item % p.rows(), [&](idx t, idx offset) {
      const T *__restrict from = plane + offset;
      along(p.stride[2], p.lo[t], p.hi[t], [=](idx j, idx at) { best[j] = from[at] > best[j] ? from[at] : best[j]; });
    });
  }
}

template <typename T> void max_values_and_mask(const Windows &p, idx ties, const T *x, T *y, npy_int64 *mask) {
  const idx width = p.out[2], items = p.planes * p.rows();
#pragma omp parallel for schedule(static) if (p.planes * p.in_plane > FEW)
  for (idx item = 0; item < items; item++) {
    const T *plane = x + item / p.rows() * p.in_plane;
    T *__restrict best = y + item * width;
    npy_int64 *__restrict where = mask + item * width;
    std::fill(best, best + width, max_start<T>(ties));
    std::fill(where, where + width, npy_int64(-1));
    p.taps(item % p.rows(), [&](idx t, idx offset) {
      const T *__restrict from = plane + offset;
      along(p.stride[2], p.lo[t], p.hi[t], [=](idx j, idx at) {
        const bool better = from[at] > best[j];
        best[j] = better ? from[at] : best[j];
        where[j] = better ? offset + at : where[j];
      });
    });
  }
}

/* gx: each window's g goes to its maximum, the first or all of them. */
template <typename T> bool max_gradient(const Windows &p, idx ties, const T *x, const T *y, const T *g, T *gx) {
  const idx width = p.out[2];
  bool ok = true;
#pragma omp parallel if (p.planes > 1 && p.planes * p.in_plane > FEW)
  {
    Scratch<T> scratch(width);
    if (!scratch.p) ok = false;
#pragma omp for schedule(static)
    for (idx plane = 0; plane < p.planes; plane++) {
      if (!ok) continue;
      T *to = gx + plane * p.in_plane;
      std::memset(to, 0, p.in_plane * sizeof(T));
      for (idx row = 0; row < p.rows(); row++) {
        const idx at_row = plane * p.out_plane + row * width;
        const T *__restrict top = y + at_row;
        T *__restrict left = scratch.p; /* what a window has still to give */
        for (idx j = 0; j < width; j++) left[j] = ties == ALL || top[j] > T(LOWEST) ? g[at_row + j] : T(0);
        p.taps(row, [&](idx t, idx offset) {
          const T *__restrict from = x + plane * p.in_plane + offset;
          T *__restrict sum = to + offset;
          if (ties == ALL)
            along(p.stride[2], p.lo[t], p.hi[t],
                  [=](idx j, idx at) { sum[at] += from[at] == top[j] ? left[j] : T(0); });
          else
            along(p.stride[2], p.lo[t], p.hi[t], [=](idx j, idx at) {
              const bool hit = from[at] == top[j];
              sum[at] += hit ? left[j] : T(0);
              left[j] = hit ? T(0) : left[j];
            });
        });
      }
    }
  }
  return ok;
}

/* The transpose of max_gradient in g: the sum of v over each window's maxima, or v at the first. */
template <typename T> bool max_gather(const Windows &p, idx ties, const T *x, const T *y, const T *v, T *out) {
  const idx width = p.out[2], items = p.planes * p.rows();
  bool ok = true;
#pragma omp parallel if (p.planes * p.in_plane > FEW)
  {
    Scratch<T> scratch(width);
    if (!scratch.p) ok = false;
#pragma omp for schedule(static)
    for (idx item = 0; item < items; item++) {
      if (!ok) continue;
      const idx plane = item / p.rows() * p.in_plane;
      const T *__restrict top = y + item * width;
      T *__restrict sum = out + item * width;
      T *__restrict open = scratch.p; /* 1 while a window takes more */
      for (idx j = 0; j < width; j++) {
        sum[j] = 0;
        open[j] = ties == ALL || top[j] > T(LOWEST);
      }
      p.taps(item % p.rows(), [&](idx t, idx offset) {
        const T *__restrict from = x + plane + offset;
        const T *__restrict value = v + plane + offset;
        along(p.stride[2], p.lo[t], p.hi[t], [=](idx j, idx at) {
          const bool hit = from[at] == top[j] && open[j] != T(0);
          sum[j] += hit ? value[at] : T(0);
          if (ties == FIRST) open[j] = hit ? T(0) : open[j];
        });
      });
    }
  }
  return ok;
}

enum Divisor { PADDED = 0, REAL = 1, ONE = 2 };

/* line[j] /= the divisor of window j of a row. */
template <typename T> inline void divide(const Windows &p, idx divisor, idx row, T *line) {
  if (divisor == ONE) return;
  const bool padding = divisor == PADDED;
  const idx outer = p.count(0, row / p.out[1], padding) * p.count(1, row % p.out[1], padding);
  for (idx j = 0; j < p.out[2]; j++) line[j] /= T(outer * p.count(2, j, padding));
}

template <typename T> void average(const Windows &p, idx divisor, const T *x, T *y) {
  const idx width = p.out[2], items = p.planes * p.rows();
#pragma omp parallel for schedule(static) if (p.planes * p.in_plane > FEW)
  for (idx item = 0; item < items; item++) {
    const T *plane = x + item / p.rows() * p.in_plane;
    T *__restrict sum = y + item * width;
    std::fill(sum, sum + width, T(0));
    p.taps(item % p.rows(), [&](idx t, idx offset) {
      const T *__restrict from = plane + offset;
      along(p.stride[2], p.lo[t], p.hi[t], [=](idx j, idx at) { sum[j] += from[at]; });
    });
    divide(p, divisor, item % p.rows(), sum);
  }
}

template <typename T> bool average_gradient(const Windows &p, idx divisor, const T *g, T *gx) {
  const idx width = p.out[2];
  bool ok = true;
#pragma omp parallel if (p.planes > 1 && p.planes * p.in_plane > FEW)
  {
    Scratch<T> scratch(width);
    if (!scratch.p) ok = false;
#pragma omp for schedule(static)
    for (idx plane = 0; plane < p.planes; plane++) {
      if (!ok) continue;
      T *to = gx + plane * p.in_plane;
      std::memset(to, 0, p.in_plane * sizeof(T));
      for (idx row = 0; row < p.rows(); row++) {
        const T *from = g + plane * p.out_plane + row * width;
        T *__restrict line = scratch.p;
        std::copy(from, from + width, line);
        divide(p, divisor, row, line);
        p.taps(row, [&](idx t, idx offset) {
          T *__restrict sum = to + offset;
          along(p.stride[2], p.lo[t], p.hi[t], [=](idx j, idx at) { sum[at] += line[j]; });
        });
      }
    }
  }
  return ok;
}

/* The Ops. `spec` is Op.spec: the number of axes, then ties or divisor; the rest only Python reads. */

inline int out_of_memory() {
  PyErr_NoMemory();
  return 1;
}

template <typename T> inline bool prepare_pooled(const Windows &p, PyArrayObject *x, PyArrayObject **out) {
  idx dims[NPY_MAXDIMS];
  for (int i = 0; i < PyArray_NDIM(x); i++) dims[i] = PyArray_DIM(x, i);
  for (int a = 0; a < p.nd; a++) dims[PyArray_NDIM(x) - p.nd + a] = p.out[3 - p.nd + a];
  return prepare<T>(out, PyArray_NDIM(x), dims);
}

template <typename T> int max_pool(PyArrayObject *x_, PyArrayObject **out, PyArrayObject *spec) {
  Array x(x_);
  Windows p;
  if (!x || !p.resolve(spec, PyArray_NDIM(x.a), PyArray_DIMS(x.a), Py_BuildValue("(N)", shape_tuple(x.a)), PyTuple_New(0))) return 1;
  if (!prepare_pooled<T>(p, x.a, out)) return 1;
  Py_BEGIN_ALLOW_THREADS
  max_values(p, data<npy_int64>(spec)[1], data<T>(x.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  return 0;
}

template <typename T>
int max_pool(PyArrayObject *x_, PyArrayObject **out, PyArrayObject **mask, PyArrayObject *spec) {
  Array x(x_);
  Windows p;
  if (!x || !p.resolve(spec, PyArray_NDIM(x.a), PyArray_DIMS(x.a), Py_BuildValue("(N)", shape_tuple(x.a)), PyTuple_New(0))) return 1;
  if (!prepare_pooled<T>(p, x.a, out) || !prepare_pooled<npy_int64>(p, x.a, mask)) return 1;
  Py_BEGIN_ALLOW_THREADS
  max_values_and_mask(p, data<npy_int64>(spec)[1], data<T>(x.a), data<T>(*out), data<npy_int64>(*mask));
  Py_END_ALLOW_THREADS
  return 0;
}

template <typename T>
int max_pool_gradient(PyArrayObject *x_, PyArrayObject *y_, PyArrayObject *g_, PyArrayObject **out,
                      PyArrayObject *spec) {
  Array x(x_), y(y_), g(g_);
  Windows p;
  if (!x || !y || !g) return 1;
  if (!p.resolve(spec, PyArray_NDIM(x.a), PyArray_DIMS(x.a), Py_BuildValue("(N)", shape_tuple(x.a)),
                 Py_BuildValue("(NN)", shape_tuple(y.a), shape_tuple(g.a))))
    return 1;
  if (!prepare<T>(out, PyArray_NDIM(x.a), PyArray_DIMS(x.a))) return 1;
  bool ok;
  Py_BEGIN_ALLOW_THREADS
  ok = max_gradient(p, data<npy_int64>(spec)[1], data<T>(x.a), data<T>(y.a), data<T>(g.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  return ok ? 0 : out_of_memory();
}

template <typename T>
int max_pool_gather(PyArrayObject *x_, PyArrayObject *y_, PyArrayObject *v_, PyArrayObject **out,
                    PyArrayObject *spec) {
  Array x(x_), y(y_), v(v_);
  Windows p;
  if (!x || !y || !v) return 1;
  if (!p.resolve(spec, PyArray_NDIM(x.a), PyArray_DIMS(x.a), Py_BuildValue("(NN)", shape_tuple(x.a), shape_tuple(v.a)),
                 Py_BuildValue("(N)", shape_tuple(y.a))))
    return 1;
  if (!prepare<T>(out, PyArray_NDIM(y.a), PyArray_DIMS(y.a))) return 1;
  bool ok;
  Py_BEGIN_ALLOW_THREADS
  ok = max_gather(p, data<npy_int64>(spec)[1], data<T>(x.a), data<T>(y.a), data<T>(v.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  return ok ? 0 : out_of_memory();
}

template <typename T> int average_pool(PyArrayObject *x_, PyArrayObject **out, PyArrayObject *spec) {
  Array x(x_);
  Windows p;
  if (!x || !p.resolve(spec, PyArray_NDIM(x.a), PyArray_DIMS(x.a), Py_BuildValue("(N)", shape_tuple(x.a)), PyTuple_New(0))) return 1;
  if (!prepare_pooled<T>(p, x.a, out)) return 1;
  Py_BEGIN_ALLOW_THREADS
  average(p, data<npy_int64>(spec)[1], data<T>(x.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  return 0;
}

/* `size`: the spatial sizes of the image. */
template <typename T>
int average_pool_gradient(PyArrayObject *g_, PyArrayObject *size, PyArrayObject **out, PyArrayObject *spec) {
  Array g(g_), sizes(size);
  Windows p;
  if (!g || !sizes) return 1;
  const int ndim = PyArray_NDIM(g.a), nd = static_cast<int>(data<npy_int64>(spec)[0]);
  if (sizes.dim(0) != nd)
    return complain("_windows", "wrong_length", Py_BuildValue("(Ni)", spec_tuple(spec), int(sizes.dim(0))));
  idx dims[NPY_MAXDIMS];
  for (int i = 0; i < ndim; i++) dims[i] = i < ndim - nd ? g.dim(i) : data<npy_int64>(sizes.a)[i - (ndim - nd)];
  if (!p.resolve(spec, ndim, dims, Py_BuildValue("(N)", int_tuple(dims, ndim)),
                 Py_BuildValue("(N)", shape_tuple(g.a))))
    return 1;
  if (!prepare<T>(out, ndim, dims)) return 1;
  bool ok;
  Py_BEGIN_ALLOW_THREADS
  ok = average_gradient(p, data<npy_int64>(spec)[1], data<T>(g.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  return ok ? 0 : out_of_memory();
}

} // namespace dl
