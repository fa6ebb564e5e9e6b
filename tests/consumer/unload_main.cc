// SPDX-License-Identifier: Apache-2.0
// unload_main LIBRARY FUNCTION: loads a shared library, calls its `double FUNCTION(double)` or
// `int64_t FUNCTION()` by its mangled name, and unloads it. Fails if it stays.
#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::printf("%s\n", dlerror());
    return 1;
  }
  void* symbol = dlsym(library, argv[2]);
  if (symbol == nullptr) {
    std::printf("%s\n", dlerror());
    return 1;
  }
  // A function without arguments takes no notice of one.
  reinterpret_cast<void (*)(double)>(symbol)(1.0);
  dlclose(library);
  if (dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != nullptr) {
    std::printf("%s stays loaded\n", argv[1]);
    return 1;
  }
  return 0;
}
