/* Convolution, its input gradient (the deconvolution) and its weight gradient, for one to three spatial axes.

   One- and two-dimensional problems are three-dimensional ones with leading axes of size 1.
   Each is im2col and a matrix product, done tile by tile: a thread holds a few MB, never a whole image's columns.
   Layouts: x (N, C, D, H, W), w (M, C/groups, kd, kh, kw), y (N, M, OD, OH, OW). A column row is (channel, tap).
   Tiles never share what they write, and the order of sums is fixed: with the same number of threads the same numbers
   come out, bit by bit. Another number of threads cuts other tiles, and the last bits may differ. */

namespace dl {

enum BorderMode { EXPLICIT = 0, /* or valid */ HALF = 1, FULL = 2, SAME = 3, SAME_LOWER = 4 };

struct Conv {
  idx groups, flip, relu;
  idx mode[3], stride[3], dilation[3], before[3], after[3];
  idx in[3], kernel[3], out[3];
  idx batch, channels, filters; /* channels and filters of one group */
  idx taps, in_plane, out_plane;

  /* spec: ndim, groups, flip, relu, then mode, stride, dilation, before, after, three numbers each. */
  explicit Conv(const npy_int64 *spec) {
    groups = spec[1];
    flip = spec[2];
    relu = spec[3];
    for (int a = 0; a < 3; a++) {
      mode[a] = spec[4 + a];
      stride[a] = spec[7 + a];
      dilation[a] = spec[10 + a];
      before[a] = spec[13 + a];
      after[a] = spec[16 + a];
    }
  }

  static void spatial(const idx *dims, int ndim, idx *to) {
    for (int a = 0; a < 3; a++) to[a] = a < 3 - ndim ? 1 : dims[a - (3 - ndim)];
  }

  /* Pads and output size from the sizes of input and kernel: the rule of deconv_legacy.geometry. */
  bool resolve() {
    taps = in_plane = out_plane = 1;
    for (int a = 0; a < 3; a++) {
      if (kernel[a] < 1 || in[a] < 1) return false;
      idx extent = dilation[a] * (kernel[a] - 1) + 1;
      if (mode[a] == HALF) {
        before[a] = after[a] = extent / 2;
      } else if (mode[a] == FULL) {
        before[a] = after[a] = extent - 1;
      } else if (mode[a] == SAME || mode[a] == SAME_LOWER) {
        idx n = ceil_div(in[a], stride[a]);
        idx total = (n - 1) * stride[a] + extent - in[a];
        if (total < 0) total = 0;
        idx less = total / 2;
        before[a] = mode[a] == SAME ? less : total - less;
        after[a] = total - before[a];
      }
      idx room = in[a] + before[a] + after[a] - extent;
      if (room < 0) return false;
      out[a] = room / stride[a] + 1;
      taps *= kernel[a];
      in_plane *= in[a];
      out_plane *= out[a];
    }
    return true;
  }

  /* True where the columns of a channel are the channel itself. */
  bool pointwise() const {
    for (int a = 0; a < 3; a++)
      if (kernel[a] != 1 || stride[a] != 1 || before[a] != 0 || after[a] != 0) return false;
    return true;
  }
};

/* Walks the columns [n0, n0 + nn) of one channel's rows, output row by output row.
   body(row of the column matrix, offset in it, input pointer or NULL where the tap lies in the padding,
        number of columns before the image, inside it, and after it). */
template <typename T, typename Body>
inline void walk(const Conv &p, T *plane, idx n0, idx nn, const Body &body) {
  idx tap = 0;
  for (idx kd = 0; kd < p.kernel[0]; kd++)
    for (idx kh = 0; kh < p.kernel[1]; kh++)
      for (idx kw = 0; kw < p.kernel[2]; kw++, tap++) {
        idx row = p.flip ? p.taps - 1 - tap : tap;
        idx shift_d = kd * p.dilation[0] - p.before[0];
        idx shift_h = kh * p.dilation[1] - p.before[1];
        idx shift_w = kw * p.dilation[2] - p.before[2];
        /* columns whose input index ow * stride + shift_w lies inside the image */
        idx first = shift_w >= 0 ? 0 : ceil_div(-shift_w, p.stride[2]);
        idx last = p.in[2] - shift_w <= 0 ? 0 : ceil_div(p.in[2] - shift_w, p.stride[2]);
        if (last > p.out[2]) last = p.out[2];
        if (first > last) first = last;
        idx ow = n0 % p.out[2], oh = (n0 / p.out[2]) % p.out[1], od = n0 / (p.out[2] * p.out[1]);
        for (idx done = 0; done < nn;) {
          idx length = p.out[2] - ow;
          if (length > nn - done) length = nn - done;
          idx id = od * p.stride[0] + shift_d, ih = oh * p.stride[1] + shift_h;
          if (id < 0 || id >= p.in[0] || ih < 0 || ih >= p.in[1]) {
            body(row, done, static_cast<T *>(NULL), length, idx(0), idx(0));
          } else {
            idx lo = first < ow ? ow : (first > ow + length ? ow + length : first);
            idx hi = last < lo ? lo : (last > ow + length ? ow + length : last);
            body(row, done, plane + (id * p.in[1] + ih) * p.in[2] + lo * p.stride[2] + shift_w, lo - ow, hi - lo,
                 ow + length - hi);
          }
          done += length;
          ow = 0;
          if (++oh == p.out[1]) { oh = 0; od++; }
        }
      }
}

/* col[tap, j] = the input under tap `tap` of output position n0 + j; rows are `ld` apart. */
template <typename T> inline void im2col(const Conv &p, const T *plane, idx n0, idx nn, T *col, idx ld) {
  const idx step = p.stride[2];
  walk(p, plane, n0, nn, [=](idx row, idx at, const T *from, idx left, idx inside, idx right) {
    T *to = col + row * ld + at;
    if (left) std::memset(to, 0, left * sizeof(T));
    to += left;
    if (step == 1)
      std::memcpy(to, from, inside * sizeof(T));
    else
      for (idx j = 0; j < inside; j++) to[j] = from[j * step];
    if (right) std::memset(to + inside, 0, right * sizeof(T));
  });
}

/* The transpose of im2col: adds each column entry to the input position that it came from. */
template <typename T> inline void col2im(const Conv &p, const T *col, idx ld, idx n0, idx nn, T *plane) {
  const idx step = p.stride[2];
  walk(p, plane, n0, nn, [=](idx row, idx at, T *to, idx left, idx inside, idx) {
    const T *from = col + row * ld + at + left;
    if (step == 1)
      for (idx j = 0; j < inside; j++) to[j] += from[j];
    else
      for (idx j = 0; j < inside; j++) to[j * step] += from[j];
  });
}

/* How the columns of all images are cut: a tile is part of one image, or several whole small images, so that
   matrix products stay large. A block of channels limits the rows. */
struct Tiling {
  idx images, columns; /* images of a tile; columns of one image in it (images == 1 unless columns is a plane) */
  idx channels;        /* channels whose rows are held at once */
  idx width() const { return images * columns; }
};

/* `share`: among how many threads the columns are dealt (1 when each thread walks all of them). */
template <typename T> inline Tiling tile(const Conv &p, idx max_rows, int share) {
  const idx budget = (2 << 20) / sizeof(T), widest = 2048, narrowest = 256;
  Tiling t;
  t.channels = max_rows / p.taps;
  if (t.channels < 1) t.channels = 1;
  if (t.channels > p.channels) t.channels = p.channels;
  idx width = budget / (t.channels * p.taps);
  if (width > widest) width = widest;
  if (width < narrowest) width = narrowest;
  t.images = 1;
  if (p.out_plane >= width) {
    idx parts = ceil_div(p.out_plane, width);
    if (p.batch * p.groups < share) parts = ceil_div(parts, share) * share;
    t.columns = ceil_div(p.out_plane, parts);
    t.columns = ceil_div(t.columns, 16) * 16;
    if (t.columns > p.out_plane) t.columns = p.out_plane;
  } else {
    t.columns = p.out_plane;
    t.images = width / p.out_plane;
    if (t.images > p.batch) t.images = p.batch;
    idx fair = ceil_div(p.batch * p.groups, share);
    if (t.images > fair && fair * p.out_plane >= narrowest / 2) t.images = fair;
    if (t.images < 1) t.images = 1;
  }
  return t;
}

/* One tile of output positions: images b0 .. b0 + images, columns n0 .. n0 + columns of each. */
struct Tile {
  idx b0, images, n0, columns;
  Tile(const Conv &p, const Tiling &t, idx index) {
    idx per_image = ceil_div(p.out_plane, t.columns);
    b0 = index / per_image * t.images;
    n0 = index % per_image * t.columns;
    images = t.images < p.batch - b0 ? t.images : p.batch - b0;
    columns = t.columns < p.out_plane - n0 ? t.columns : p.out_plane - n0;
  }
  idx width() const { return images * columns; }
  static idx count(const Conv &p, const Tiling &t) {
    return p.out_plane == 0 ? 0 : ceil_div(p.batch, t.images) * ceil_div(p.out_plane, t.columns);
  }
};

/* The columns of `count` channels from c0 on, for a tile; a pointer to them and the distance of their rows.
   Where the columns are the channels themselves nothing is copied. */
template <typename T>
inline const T *columns(const Conv &p, const T *x, idx group, idx c0, idx count, const Tile &t, T *col, idx *ld) {
  const T *first = x + ((t.b0 * p.groups + group) * p.channels + c0) * p.in_plane;
  if (t.images == 1 && p.pointwise()) {
    *ld = p.in_plane;
    return first + t.n0;
  }
  *ld = t.width();
  for (idx b = 0; b < t.images; b++)
    for (idx c = 0; c < count; c++)
      im2col(p, first + (b * p.groups * p.channels + c) * p.in_plane, t.n0, t.columns,
             col + c * p.taps * *ld + b * t.columns, *ld);
  return col;
}

/* The tile of y (filters m0 .. m0 + count) as a matrix, gathered only where it spans several images. */
template <typename T>
inline const T *gather(const Conv &p, const T *y, idx group, idx m0, idx count, const Tile &t, T *buffer, idx *ld) {
  const T *first = y + ((t.b0 * p.groups + group) * p.filters + m0) * p.out_plane + t.n0;
  if (t.images == 1) {
    *ld = p.out_plane;
    return first;
  }
  *ld = t.width();
  for (idx m = 0; m < count; m++)
    for (idx b = 0; b < t.images; b++)
      std::memcpy(buffer + m * *ld + b * t.columns, first + (b * p.groups * p.filters + m) * p.out_plane,
                  t.columns * sizeof(T));
  return buffer;
}

/* What is done to an output tile while it is still in the cache: add the bias, cut off below zero.
   `!(v <= 0)` keeps a NaN. */
template <typename T> struct Epilogue {
  const T *bias; /* NULL, or one number per filter (step 1), or one for all (step 0) */
  idx step;
  bool relu;
  void operator()(T *y, idx rows, idx columns, idx ld, idx first) const {
    if (!bias && !relu) return;
    for (idx m = 0; m < rows; m++, y += ld) {
      const T b = bias ? bias[(first + m) * step] : T(0);
      if (relu)
        for (idx j = 0; j < columns; j++) {
          const T v = y[j] + b;
          y[j] = v <= T(0) ? T(0) : v;
        }
      else
        for (idx j = 0; j < columns; j++) y[j] += b;
    }
  }
};

/* y = w * x, then the epilogue. */
template <typename T> bool forward(const Conv &p, const T *x, const T *w, const Epilogue<T> &finish, T *y) {
  const idx rows = p.channels * p.taps;
  if (rows == 0) {
    const idx planes = p.groups * p.filters;
    std::memset(y, 0, p.batch * planes * p.out_plane * sizeof(T));
    for (idx b = 0; b < p.batch; b++) finish(y + b * planes * p.out_plane, planes, p.out_plane, p.out_plane, 0);
    return true;
  }
  BlasThreads blas;
  const int threads = blas.threads();
  const Tiling tiling = tile<T>(p, 1152, threads);
  const idx tiles = Tile::count(p, tiling);
  /* with too few tiles for all threads each takes a part of the filters */
  idx parts = tiles * p.groups >= threads ? 1 : ceil_div(threads, tiles * p.groups > 0 ? tiles * p.groups : 1);
  if (parts > p.filters) parts = p.filters;
  const idx block = parts > 0 ? ceil_div(p.filters, parts) : 0;
  const idx items = tiles * p.groups * parts;
  bool ok = true;
#pragma omp parallel num_threads(threads) if (items > 1)
  {
    Scratch<T> col(p.pointwise() && tiling.images == 1 ? 0 : tiling.channels * p.taps * tiling.width());
    Scratch<T> sum(tiling.images > 1 ? block * tiling.width() : 0);
    if (!col.p || !sum.p) ok = false;
#pragma omp for schedule(dynamic, 1)
    for (idx item = 0; item < items; item++) {
      if (!ok) continue;
      const idx m0 = item % parts * block, group = item / parts % p.groups;
      const idx count = block < p.filters - m0 ? block : p.filters - m0;
      if (count <= 0) continue;
      const Tile t(p, tiling, item / parts / p.groups);
      T *to = y + ((t.b0 * p.groups + group) * p.filters + m0) * p.out_plane + t.n0;
      T *product = t.images == 1 ? to : sum.p;
      const idx ldp = t.images == 1 ? p.out_plane : t.width();
      for (idx c0 = 0; c0 < p.channels; c0 += tiling.channels) {
        const idx channels = tiling.channels < p.channels - c0 ? tiling.channels : p.channels - c0;
        idx ld;
        const T *columns_ = columns(p, x, group, c0, channels, t, col.p, &ld);
        gemm('N', 'N', t.width(), count, channels * p.taps, columns_, ld,
             w + (group * p.filters + m0) * rows + c0 * p.taps, rows, c0 == 0 ? T(0) : T(1), product, ldp);
      }
      finish(product, count, t.width(), ldp, group * p.filters + m0);
      if (t.images > 1)
        for (idx b = 0; b < t.images; b++)
          for (idx m = 0; m < count; m++)
            std::memcpy(to + (b * p.groups * p.filters + m) * p.out_plane, product + m * ldp + b * t.columns,
                        t.columns * sizeof(T));
    }
  }
  return ok;
}

/* x = transpose of forward, applied to y. */
template <typename T> bool input_gradient(const Conv &p, const T *w, const T *y, T *x) {
  const idx rows = p.channels * p.taps;
  const idx image = p.groups * p.channels * p.in_plane;
  BlasThreads blas;
  const int threads = blas.threads();
  if (p.filters == 0 || rows == 0 || p.out_plane == 0 || p.batch == 0) {
    std::memset(x, 0, p.batch * image * sizeof(T));
    return true;
  }
  Tiling tiling = tile<T>(p, 1152, threads);
  const idx per_image = ceil_div(p.out_plane, tiling.columns);
  const idx image_tiles = ceil_div(p.batch, tiling.images);
  /* an item owns some channels of some images, so that nobody else adds to them */
  if (image_tiles * p.groups * ceil_div(p.channels, tiling.channels) < threads) {
    idx share = ceil_div(threads, image_tiles * p.groups);
    tiling.channels = ceil_div(p.channels, share < p.channels ? share : p.channels);
  }
  const idx blocks = ceil_div(p.channels, tiling.channels);
  const idx items = image_tiles * p.groups * blocks;
  const bool pointwise = p.pointwise();
  bool ok = true;
#pragma omp parallel num_threads(threads) if (items > 1)
  {
    Scratch<T> col(pointwise && tiling.images == 1 ? 0 : tiling.channels * p.taps * tiling.width());
    Scratch<T> gathered(tiling.images > 1 ? p.filters * tiling.width() : 0);
    if (!col.p || !gathered.p) ok = false;
#pragma omp for schedule(dynamic, 1)
    for (idx item = 0; item < items; item++) {
      if (!ok) continue;
      const idx c0 = item % blocks * tiling.channels, group = item / blocks % p.groups;
      const idx channels = tiling.channels < p.channels - c0 ? tiling.channels : p.channels - c0;
      if (channels <= 0) continue;
      const T *filters = w + group * p.filters * rows + c0 * p.taps;
      for (idx part = 0; part < per_image; part++) {
        const Tile t(p, tiling, item / blocks / p.groups * per_image + part);
        T *to = x + (t.b0 * p.groups + group) * p.channels * p.in_plane + c0 * p.in_plane;
        idx ld;
        const T *from = gather(p, y, group, 0, p.filters, t, gathered.p, &ld);
        if (pointwise && t.images == 1) {
          gemm('N', 'T', t.width(), channels, p.filters, from, ld, filters, rows, T(0), to + t.n0, p.in_plane);
          continue;
        }
        gemm('N', 'T', t.width(), channels * p.taps, p.filters, from, ld, filters, rows, T(0), col.p, t.width());
        for (idx b = 0; b < t.images; b++)
          for (idx c = 0; c < channels; c++) {
            T *plane = to + b * image + c * p.in_plane;
            if (part == 0) std::memset(plane, 0, p.in_plane * sizeof(T));
            col2im(p, col.p + c * p.taps * t.width() + b * t.columns, t.width(), t.n0, t.columns, plane);
          }
      }
    }
  }
  return ok;
}

/* dw[m, c, tap] = sum over images and positions of y[m, position] times the input under the tap. */
template <typename T> bool weight_gradient(const Conv &p, const T *x, const T *y, T *dw) {
  const idx rows = p.channels * p.taps;
  if (p.batch == 0 || p.out_plane == 0 || rows == 0) {
    std::memset(dw, 0, p.groups * p.filters * rows * sizeof(T));
    return true;
  }
  BlasThreads blas;
  const int threads = blas.threads();
  Tiling tiling = tile<T>(p, 576, 1);
  if (p.groups * ceil_div(p.channels, tiling.channels) < threads) {
    idx share = ceil_div(threads, p.groups);
    tiling.channels = ceil_div(p.channels, share < p.channels ? share : p.channels);
  }
  const idx blocks = ceil_div(p.channels, tiling.channels);
  idx parts = ceil_div(threads, p.groups * blocks);
  if (parts > p.filters) parts = p.filters;
  const idx block = parts > 0 ? ceil_div(p.filters, parts) : 0;
  const idx tiles = Tile::count(p, tiling), items = p.groups * blocks * parts;
  bool ok = true;
#pragma omp parallel num_threads(threads) if (items > 1)
  {
    Scratch<T> col(p.pointwise() && tiling.images == 1 ? 0 : tiling.channels * p.taps * tiling.width());
    Scratch<T> gathered(tiling.images > 1 ? block * tiling.width() : 0);
    if (!col.p || !gathered.p) ok = false;
#pragma omp for schedule(dynamic, 1)
    for (idx item = 0; item < items; item++) {
      if (!ok) continue;
      const idx m0 = item % parts * block, c0 = item / parts % blocks * tiling.channels, group = item / parts / blocks;
      const idx channels = tiling.channels < p.channels - c0 ? tiling.channels : p.channels - c0;
      const idx count = block < p.filters - m0 ? block : p.filters - m0;
      if (count <= 0 || channels <= 0) continue;
      for (idx index = 0; index < tiles; index++) {
        const Tile t(p, tiling, index);
        idx ld, ldy;
        const T *columns_ = columns(p, x, group, c0, channels, t, col.p, &ld);
        const T *from = gather(p, y, group, m0, count, t, gathered.p, &ldy);
        gemm('T', 'N', channels * p.taps, count, t.width(), columns_, ld, from, ldy, index == 0 ? T(0) : T(1),
             dw + (group * p.filters + m0) * rows + c0 * p.taps, rows);
      }
    }
  }
  return ok;
}

/* The three Ops. `spec` is Op.spec; a wrong shape is explained in Python. */

inline int conv_error(PyArrayObject *spec, const char *direction, PyArrayObject *a, PyArrayObject *b, PyObject *size) {
  return explain("convolution",
                 Py_BuildValue("(NsNNN)", int_tuple(data<npy_int64>(spec), PyArray_SIZE(spec)), direction,
                               shape_tuple(a), shape_tuple(b), size));
}

inline bool groups_fit(const Conv &p, idx channels, idx filters) {
  return filters % p.groups == 0 && channels == p.channels * p.groups;
}

#define DL_NONE (Py_INCREF(Py_None), Py_None)

template <typename T>
int conv_fused(PyArrayObject *x_, PyArrayObject *w_, PyArrayObject *bias_, PyArrayObject **out, PyArrayObject *spec) {
  Conv p(data<npy_int64>(spec));
  const int nd = static_cast<int>(data<npy_int64>(spec)[0]);
  Array x(x_), w(w_), bias(bias_);
  if (!x || !w || (bias_ && !bias)) return 1;
  Conv::spatial(PyArray_DIMS(x.a) + 2, nd, p.in);
  Conv::spatial(PyArray_DIMS(w.a) + 2, nd, p.kernel);
  p.batch = x.dim(0);
  p.filters = w.dim(0) / p.groups;
  p.channels = w.dim(1);
  if (!groups_fit(p, x.dim(1), w.dim(0)) || !p.resolve()) return conv_error(spec, "forward", x.a, w.a, DL_NONE);
  const idx biases = bias ? bias.dim(0) : 0;
  if (biases > 1 && biases != w.dim(0)) return conv_error(spec, "bias", w.a, bias.a, DL_NONE);
  const Epilogue<T> finish = {biases ? data<T>(bias.a) : NULL, biases == 1 ? 0 : 1, p.relu != 0};
  idx dims[5] = {p.batch, w.dim(0)};
  for (int a = 0; a < nd; a++) dims[2 + a] = p.out[3 - nd + a];
  if (!prepare<T>(out, nd + 2, dims)) return 1;
  bool ok;
  Py_BEGIN_ALLOW_THREADS
  ok = forward<T>(p, data<T>(x.a), data<T>(w.a), finish, data<T>(*out));
  Py_END_ALLOW_THREADS
  if (!ok) PyErr_NoMemory();
  return ok ? 0 : 1;
}

template <typename T>
int conv_forward(PyArrayObject *x, PyArrayObject *w, PyArrayObject **out, PyArrayObject *spec) {
  return conv_fused<T>(x, w, NULL, out, spec);
}

template <typename T>
int conv_input_gradient(PyArrayObject *w_, PyArrayObject *y_, PyArrayObject *size, PyArrayObject **out,
                        PyArrayObject *spec) {
  Conv p(data<npy_int64>(spec));
  const int nd = static_cast<int>(data<npy_int64>(spec)[0]);
  Array w(w_), y(y_), sizes(size);
  if (!w || !y || !sizes) return 1;
  const npy_int64 *wanted = data<npy_int64>(sizes.a);
  bool fits = sizes.dim(0) == nd;
  idx dims[5] = {y.dim(0), w.dim(1) * p.groups};
  for (int a = 0; fits && a < nd; a++) dims[2 + a] = wanted[a];
  Conv::spatial(dims + 2, nd, p.in);
  Conv::spatial(PyArray_DIMS(w.a) + 2, nd, p.kernel);
  p.batch = y.dim(0);
  p.filters = w.dim(0) / p.groups;
  p.channels = w.dim(1);
  fits = fits && w.dim(0) % p.groups == 0 && y.dim(1) == w.dim(0) && p.resolve();
  for (int a = 0; fits && a < nd; a++) fits = p.out[3 - nd + a] == y.dim(2 + a);
  if (!fits) return conv_error(spec, "input gradient", w.a, y.a, int_tuple(wanted, sizes.dim(0)));
  if (!prepare<T>(out, nd + 2, dims)) return 1;
  bool ok;
  Py_BEGIN_ALLOW_THREADS
  ok = input_gradient<T>(p, data<T>(w.a), data<T>(y.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  if (!ok) PyErr_NoMemory();
  return ok ? 0 : 1;
}

template <typename T>
int conv_weight_gradient(PyArrayObject *x_, PyArrayObject *y_, PyArrayObject *size, PyArrayObject **out,
                         PyArrayObject *spec) {
  Conv p(data<npy_int64>(spec));
  const int nd = static_cast<int>(data<npy_int64>(spec)[0]);
  Array x(x_), y(y_), sizes(size);
  if (!x || !y || !sizes) return 1;
  const npy_int64 *kernel = data<npy_int64>(sizes.a);
  bool fits = sizes.dim(0) == nd && x.dim(0) == y.dim(0) && x.dim(1) % p.groups == 0 && y.dim(1) % p.groups == 0;
  idx dims[5] = {y.dim(1), x.dim(1) / p.groups};
  for (int a = 0; fits && a < nd; a++) dims[2 + a] = kernel[a];
  Conv::spatial(PyArray_DIMS(x.a) + 2, nd, p.in);
  if (fits) Conv::spatial(dims + 2, nd, p.kernel);
  p.batch = x.dim(0);
  p.filters = y.dim(1) / p.groups;
  p.channels = dims[1];
  fits = fits && p.resolve();
  for (int a = 0; fits && a < nd; a++) fits = p.out[3 - nd + a] == y.dim(2 + a);
  if (!fits) return conv_error(spec, "weight gradient", x.a, y.a, int_tuple(kernel, sizes.dim(0)));
  if (!prepare<T>(out, nd + 2, dims)) return 1;
  bool ok;
  Py_BEGIN_ALLOW_THREADS
  ok = weight_gradient<T>(p, data<T>(x.a), data<T>(y.a), data<T>(*out));
  Py_END_ALLOW_THREADS
  if (!ok) PyErr_NoMemory();
  return ok ? 0 : 1;
}

} // namespace dl
