/* Preloaded into the bus: each write into a file takes SLOW_WRITE_US microseconds longer, as on a busy disk. A kill then
   lands far more often between an answer and the commit it stands for, if there ever is such a gap. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void wait_a_bit(void) {
  static long us = -1;
  if (us < 0) {
    const char *text = getenv("SLOW_WRITE_US");
    us = text ? atol(text) : 0;
  }
  struct timespec pause = {us / 1000000, (us % 1000000) * 1000};
  while (nanosleep(&pause, &pause) != 0) {
  }
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at) {
  static ssize_t (*real)(int, const void *, size_t, off_t);
  if (!real) real = dlsym(RTLD_NEXT, "pwrite");
  wait_a_bit();
  return real(fd, from, count, at);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
  wait_a_bit();
  return real(fd, from, count, at);
}
