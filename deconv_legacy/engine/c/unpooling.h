/* Un-pooling by a mask and its transpose. The last axes of the image are a plane, whose cells the mask numbers;
   the axes before count planes. A thread owns whole planes. */

namespace dl {

struct Planes {
  idx planes, cells, places; /* cells of the image's plane, places of the mask's */

  /* `size`, or NULL for that of `image`: the sizes of the image's last axes. */
  Planes(int nd, PyArrayObject *mask, const npy_int64 *size, PyArrayObject *image) : planes(1), cells(1), places(1) {
    const int first = PyArray_NDIM(mask) - nd;
    for (int i = 0; i < first; i++) planes *= PyArray_DIM(mask, i);
    for (int a = 0; a < nd; a++) {
      places *= PyArray_DIM(mask, first + a);
      cells *= size ? size[a] : PyArray_DIM(image, first + a);
    }
  }

  /* body(place, cell) for each place of the mask, in order; false where it names no cell. */
  template <typename F> bool each(const npy_int64 *mask, F body) const {
    bool legal = true;
#pragma omp parallel for schedule(static) if (planes > 1 && planes * places > (1 << 14))
    for (idx plane = 0; plane < planes; plane++)
      for (idx i = plane * places; i < (plane + 1) * places; i++) {
        if (mask[i] < 0 || mask[i] >= cells)
          legal = false;
        else
          body(i, plane * cells + mask[i]);
      }
    return legal;
  }

  int refuse(PyArrayObject *given, const npy_int64 *mask) const {
    idx i = 0;
    while (mask[i] >= 0 && mask[i] < cells) i++;
    return complain("unpooling", "refuse_index", Py_BuildValue("(Onn)", given, i, cells));
  }
};

/* spec: the number of axes, whether values of one cell are added (else the last one stays). */
template <typename T>
int unpool(PyArrayObject *x_, PyArrayObject *mask_, PyArrayObject *size, PyArrayObject **out, PyArrayObject *spec) {
  const int nd = static_cast<int>(data<npy_int64>(spec)[0]);
  const bool adds = data<npy_int64>(spec)[1];
  Array x(x_), sizes(size);
  Integers mask(mask_);
  if (!x || !mask || !sizes) return 1;
  PyObject *shape = ask("unpooling", "image_shape",
                        Py_BuildValue("(iNNN)", nd, shape_tuple(x.a), shape_tuple(mask.a),
                                      int_tuple(data<npy_int64>(sizes.a), sizes.dim(0))));
  if (!shape) return 1;
  idx dims[NPY_MAXDIMS];
  const int ndim = static_cast<int>(PyTuple_GET_SIZE(shape));
  for (int i = 0; i < ndim; i++) dims[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, i));
  Py_DECREF(shape);
  if (!prepare<T>(out, ndim, dims)) return 1;
  const Planes p(nd, mask.a, data<npy_int64>(sizes.a), NULL);
  const T *from = data<T>(x.a);
  T *to = data<T>(*out);
  bool legal;
  Py_BEGIN_ALLOW_THREADS
  std::memset(to, 0, p.planes * p.cells * sizeof(T));
  if (adds)
    legal = p.each(data<npy_int64>(mask.a), [=](idx place, idx cell) { to[cell] += from[place]; });
  else
    legal = p.each(data<npy_int64>(mask.a), [=](idx place, idx cell) { to[cell] = from[place]; });
  Py_END_ALLOW_THREADS
  return legal ? 0 : p.refuse(mask_, data<npy_int64>(mask.a));
}

/* The values of the image at the cells that the mask names. */
template <typename T>
int unpool_gather(PyArrayObject *image_, PyArrayObject *mask_, PyArrayObject **out, PyArrayObject *spec) {
  const int nd = static_cast<int>(data<npy_int64>(spec)[0]);
  Array image(image_);
  Integers mask(mask_);
  if (!image || !mask) return 1;
  PyObject *shape = ask("unpooling", "image_shape",
                        Py_BuildValue("(iNNN)", nd, shape_tuple(mask.a), shape_tuple(mask.a), shape_tuple(image.a)));
  if (!shape) return 1;
  Py_DECREF(shape);
  if (!prepare<T>(out, PyArray_NDIM(mask.a), PyArray_DIMS(mask.a))) return 1;
  const Planes p(nd, mask.a, NULL, image.a);
  const T *from = data<T>(image.a);
  T *to = data<T>(*out);
  bool legal;
  Py_BEGIN_ALLOW_THREADS
  legal = p.each(data<npy_int64>(mask.a), [=](idx place, idx cell) { to[place] = from[cell]; });
  Py_END_ALLOW_THREADS
  return legal ? 0 : p.refuse(mask_, data<npy_int64>(mask.a));
}

} // namespace dl
