/* Interpolation of the last one to three axes, one axis after the other, plane by plane, and its transpose.

   Output cell i of an axis is (1 - weight[i]) x[low[i]] + weight[i] x[low[i] + 1]; the tables come from Python. */
#include <algorithm>
#include <vector>

namespace dl {

struct ResizeAxis {
  idx n, o; /* cells before and after */
  bool same;
  std::vector<npy_int64> low;
  std::vector<double> weight;
};

struct Resize {
  int nd;
  idx planes;
  std::vector<ResizeAxis> axes;
  std::vector<idx> from, to;

  bool resolve(PyArrayObject *spec, int ndim, const idx *shape, const npy_int64 *n, idx n_count, const npy_int64 *o,
               idx o_count) {
    nd = static_cast<int>(data<npy_int64>(spec)[0]);
    PyObject *tables = ask("resize", "tables", Py_BuildValue("(NNN)", spec_tuple(spec), int_tuple(n, n_count), int_tuple(o, o_count)));
    if (!tables) return false;
    planes = 1;
    for (int i = 0; i < ndim - nd; i++) planes *= shape[i];
    for (int a = 0; a < nd; a++) {
      ResizeAxis axis;
      axis.n = n[a];
      axis.o = o[a];
      PyObject *entry = PyTuple_GET_ITEM(tables, a);
      axis.same = entry == Py_None;
      if (!axis.same) {
        PyArrayObject *low = reinterpret_cast<PyArrayObject *>(PyTuple_GET_ITEM(entry, 0));
        PyArrayObject *weight = reinterpret_cast<PyArrayObject *>(PyTuple_GET_ITEM(entry, 1));
        axis.low.assign(data<npy_int64>(low), data<npy_int64>(low) + axis.o);
        axis.weight.assign(data<double>(weight), data<double>(weight) + axis.o);
      }
      axes.push_back(axis);
      from.push_back(axis.n);
      to.push_back(axis.o);
    }
    Py_DECREF(tables);
    return true;
  }

  idx in_plane() const { return product(from); }
  idx out_plane() const { return product(to); }

  /* Cells of a plane when the axes from `a` on are resized already. */
  idx between(int a) const {
    idx cells = 1;
    for (int i = 0; i < nd; i++) cells *= i < a ? from[i] : to[i];
    return cells;
  }

  static idx product(const std::vector<idx> &sizes) {
    idx cells = 1;
    for (size_t i = 0; i < sizes.size(); i++) cells *= sizes[i];
    return cells;
  }

  idx scratch() const {
    idx most = 0;
    for (int a = 1; a < nd; a++) most = between(a) > most ? between(a) : most;
    return most;
  }
};

/* One axis: x (outer, n, inner) to y (outer, o, inner). */
template <typename T> void resize_axis(const ResizeAxis &a, idx outer, idx inner, const T *x, T *y) {
  for (idx b = 0; b < outer; b++, x += a.n * inner, y += a.o * inner) {
    for (idx i = 0; i < a.o; i++) {
      const T *__restrict low = x + a.low[i] * inner;
      T *__restrict to = y + i * inner;
      const T w = T(a.weight[i]);
      /* without weight the next cell is not looked at: there may be none, or a NaN */
      if (w == T(0)) {
        if (inner == 1)
          *to = *low;
        else
          std::memcpy(to, low, inner * sizeof(T));
      } else {
        for (idx j = 0; j < inner; j++) to[j] = (T(1) - w) * low[j] + w * low[j + inner];
      }
    }
  }
}

/* Its transpose: g (outer, o, inner) to gx (outer, n, inner). */
template <typename T> void resize_axis_back(const ResizeAxis &a, idx outer, idx inner, const T *g, T *gx) {
  std::memset(gx, 0, outer * a.n * inner * sizeof(T));
  for (idx b = 0; b < outer; b++, g += a.o * inner, gx += a.n * inner)
    for (idx i = 0; i < a.o; i++) {
      const T *__restrict from = g + i * inner;
      T *__restrict low = gx + a.low[i] * inner;
      const T w = T(a.weight[i]);
      if (w == T(0))
        for (idx j = 0; j < inner; j++) low[j] += from[j];
      else
        for (idx j = 0; j < inner; j++) {
          low[j] += (T(1) - w) * from[j];
          low[j + inner] += w * from[j];
        }
    }
}

/* All axes of all planes. Forward the last axis comes first, since the others then run along whole rows; backward
   the order is turned round. Two scratch planes take turns; the last step writes to the result. */
template <typename T> bool resize_planes(const Resize &p, bool back, const T *x, T *y) {
  std::vector<int> steps;
  for (int a = 0; a < p.nd; a++)
    if (!p.axes[a].same) steps.push_back(a);
  if (!back) std::reverse(steps.begin(), steps.end());
  const idx x_plane = back ? p.out_plane() : p.in_plane(), y_plane = back ? p.in_plane() : p.out_plane();
  if (steps.empty()) {
    std::memcpy(y, x, p.planes * x_plane * sizeof(T));
    return true;
  }
  bool ok = true;
#pragma omp parallel if (p.planes > 1 && p.planes * (x_plane + y_plane) > (1 << 14))
  {
    Scratch<T> first(p.scratch()), second(p.scratch());
    if (!first.p || !second.p) ok = false;
#pragma omp for schedule(static)
    for (idx plane = 0; plane < p.planes; plane++) {
      if (!ok) continue;
      const T *from = x + plane * x_plane;
      for (size_t s = 0; s < steps.size(); s++) {
        const int a = steps[s];
        T *to = s + 1 == steps.size() ? y + plane * y_plane : s % 2 ? second.p : first.p;
        idx outer = 1, inner = 1;
        for (int i = 0; i < a; i++) outer *= p.from[i];
        for (int i = a + 1; i < p.nd; i++) inner *= p.to[i];
        if (back)
          resize_axis_back(p.axes[a], outer, inner, from, to);
        else
          resize_axis(p.axes[a], outer, inner, from, to);
        from = to;
      }
    }
  }
  return ok;
}

/* x and the sizes after; with Back, the gradient and the sizes before. spec: the number of axes, then what only
   Python reads. */
template <typename T, bool Back>
int resize_either(PyArrayObject *x_, PyArrayObject *size, PyArrayObject **out, PyArrayObject *spec) {
  const int nd = static_cast<int>(data<npy_int64>(spec)[0]);
  Array x(x_), sizes(size);
  if (!x || !sizes) return 1;
  const int ndim = PyArray_NDIM(x.a);
  const npy_int64 *given = data<npy_int64>(sizes.a), *own = PyArray_DIMS(x.a) + ndim - nd;
  Resize p;
  if (Back ? !p.resolve(spec, ndim, PyArray_DIMS(x.a), given, sizes.dim(0), own, nd)
           : !p.resolve(spec, ndim, PyArray_DIMS(x.a), own, nd, given, sizes.dim(0)))
    return 1;
  idx dims[NPY_MAXDIMS];
  for (int i = 0; i < ndim; i++) dims[i] = i < ndim - nd ? x.dim(i) : given[i - (ndim - nd)];
  if (!prepare<T>(out, ndim, dims)) return 1;
  bool ok;
  Py_BEGIN_ALLOW_THREADS
  ok = resize_planes(p, Back, data<T>(x.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  if (!ok) PyErr_NoMemory();
  return ok ? 0 : 1;
}

template <typename T> int resize(PyArrayObject *x, PyArrayObject *size, PyArrayObject **out, PyArrayObject *spec) {
  return resize_either<T, false>(x, size, out, spec);
}

template <typename T>
int resize_gradient(PyArrayObject *g, PyArrayObject *size, PyArrayObject **out, PyArrayObject *spec) {
  return resize_either<T, true>(g, size, out, spec);
}

} // namespace dl
