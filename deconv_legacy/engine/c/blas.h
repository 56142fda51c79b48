/* BLAS by function pointers, which engine/_blas.py finds when the module is loaded: nothing is linked, so the
   compiled code does not depend on where the library lies. */
#include <atomic>

namespace dl {

extern "C" typedef void (*sgemm_function)(const char *, const char *, const int *, const int *, const int *,
                                          const float *, const float *, const int *, const float *, const int *,
                                          const float *, float *, const int *);
extern "C" typedef void (*dgemm_function)(const char *, const char *, const int *, const int *, const int *,
                                          const double *, const double *, const int *, const double *, const int *,
                                          const double *, double *, const int *);

static struct {
  sgemm_function sgemm;
  dgemm_function dgemm;
  int (*get_threads)(void); /* NULL where the library's threads cannot be set */
  void (*set_threads)(int);
  std::atomic<npy_int64> *state; /* [lock, users, threads before]: one for all modules of the process */
} blas_library;

/* Column-major C = op(A) op(B) + beta C, as Fortran has it. */
inline void gemm(char ta, char tb, idx m, idx n, idx k, const float *a, idx lda, const float *b, idx ldb, float beta,
                 float *c, idx ldc) {
  const int im = m, in = n, ik = k, ia = lda, ib = ldb, ic = ldc;
  const float one = 1;
  blas_library.sgemm(&ta, &tb, &im, &in, &ik, &one, a, &ia, b, &ib, &beta, c, &ic);
}
inline void gemm(char ta, char tb, idx m, idx n, idx k, const double *a, idx lda, const double *b, idx ldb,
                 double beta, double *c, idx ldc) {
  const int im = m, in = n, ik = k, ia = lda, ib = ldb, ic = ldc;
  const double one = 1;
  blas_library.dgemm(&ta, &tb, &im, &in, &ik, &one, a, &ia, b, &ib, &beta, c, &ic);
}

/* While one lives our threads share the work and BLAS uses one thread in each of them. Where BLAS's own threads
   cannot be held back, the work is not shared and BLAS uses as many as it likes. */
class BlasThreads {
  void lock() {
    npy_int64 free = 0;
    while (!blas_library.state[0].compare_exchange_weak(free, 1)) free = 0;
  }
  void unlock() { blas_library.state[0].store(0); }

public:
  BlasThreads() {
    if (!blas_library.set_threads) return;
    lock();
    if (blas_library.state[1]++ == 0) {
      blas_library.state[2] = blas_library.get_threads();
      blas_library.set_threads(1);
    }
    unlock();
  }
  ~BlasThreads() {
    if (!blas_library.set_threads) return;
    lock();
    if (--blas_library.state[1] == 0) blas_library.set_threads(static_cast<int>(blas_library.state[2]));
    unlock();
  }
  int threads() const { return blas_library.set_threads ? max_threads() : 1; }
};

/* Called when the module is loaded. */
static int load_blas() {
  PyObject *module = PyImport_ImportModule("deconv_legacy.engine._blas");
  PyObject *table = module ? PyObject_CallMethod(module, "addresses", NULL) : NULL;
  unsigned long long at[5];
  int ok = table && PyArg_ParseTuple(table, "KKKKK", at, at + 1, at + 2, at + 3, at + 4);
  if (ok) {
    blas_library.sgemm = reinterpret_cast<sgemm_function>(at[0]);
    blas_library.dgemm = reinterpret_cast<dgemm_function>(at[1]);
    blas_library.get_threads = reinterpret_cast<int (*)(void)>(at[2]);
    blas_library.set_threads = reinterpret_cast<void (*)(int)>(at[3]);
    blas_library.state = reinterpret_cast<std::atomic<npy_int64> *>(at[4]);
  }
  Py_XDECREF(table);
  Py_XDECREF(module);
  return ok;
}

} // namespace dl
