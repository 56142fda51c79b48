// What Aesara 2.9's C code takes from NumPy 1, over NumPy 2: included before everything (engine/_numpy2.py).
#pragma once
#include <Python.h>

#define NPY_PY3K 1
#define PyInt_Check PyLong_Check
#define PyInt_FromLong PyLong_FromLong
#define PyInt_AsLong PyLong_AsLong
#define PyInt_AS_LONG PyLong_AsLong
#define PyInt_AsSsize_t PyLong_AsSsize_t
#define PyInt_FromSsize_t PyLong_FromSsize_t
#define PyInt_FromSize_t PyLong_FromSize_t
#define PyInt_Type PyLong_Type
#define PyNumber_Int PyNumber_Long
#define PyString_Check PyUnicode_Check
#define PyString_FromString PyUnicode_FromString
#define PyArray_MoveInto PyArray_CopyInto
