/* Preloaded into a server under test: every sync takes SLOW_SYNC_US microseconds longer, as on a disk that really
   flushes. Writes SLOW_SYNC_PROOF (a file's name) once, so that the bench knows that it took effect. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_a_bit(void) {
  static long us = -1;
  if (us < 0) {
    const char *proof = getenv("SLOW_SYNC_PROOF");
    const char *text = getenv("SLOW_SYNC_US");
    us = text ? atol(text) : 0;
    if (proof) close(open(proof, O_CREAT | O_WRONLY, 0600));
  }
  struct timespec pause = {us / 1000000, (us % 1000000) * 1000};
  while (nanosleep(&pause, &pause) != 0) {
  }
}

int fsync(int fd) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  wait_a_bit();
  return real(fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  wait_a_bit();
  return real(fd);
}
