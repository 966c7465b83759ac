// Fibers: threads of execution that switch cooperatively.
#pragma once

#include <cstdlib>
#include <sys/mman.h>

// Reserved address space; pages are allocated when written. No power of two, or the tops of all stacks would map to a
// few cache sets.
constexpr std::size_t STACK = (64 << 10) + 1088;
constexpr u64 CANARY = 0x5ca1ab1e0ddba11ull;

[[noreturn]] void live();  // the body of every fiber; the runtime defines it

// Zeroed memory whose pages are allocated when written; null on failure.
inline char* reserve(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

#if defined(__x86_64__) && !defined(COLL_PORTABLE)

struct Fiber {
  void** top = nullptr;    // of its stack while suspended: six registers, then the return address
  char* stack = nullptr;
};
// Push the callee-saved registers onto this stack, pop them from the other.
asm(R"(
  .text
  .type coll_change_stack, @function
coll_change_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size coll_change_stack, .-coll_change_stack
)");
extern "C" void coll_change_stack(void*** from, void** to);
inline void change(Fiber& from, Fiber& to) { coll_change_stack(&from.top, to.top); }
// Prepare `self` to run `live` on its stack, from the beginning.
inline void make(Fiber& self) {
  *reinterpret_cast<u64*>(self.stack) = CANARY;
  void** top = reinterpret_cast<void**>(self.stack + STACK - 64);  // a multiple of 16 remains when `live` begins
  *top = reinterpret_cast<void*>(live);
  self.top = top - 6;
}

#else  // as QEMU's coroutines: `ucontext` makes a fiber, `_setjmp` and `_longjmp` switch to it

#include <csetjmp>
#include <ucontext.h>

struct Fiber {
  jmp_buf at;
  char* stack = nullptr;
};
inline ucontext_t maker;
inline void change(Fiber& from, Fiber& to) {
  if (_setjmp(from.at) == 0) _longjmp(to.at, 1);
}
inline void born(u32 high, u32 low) {
  Fiber& self = *reinterpret_cast<Fiber*>(u64(high) << 32 | low);
  if (_setjmp(self.at) == 0) setcontext(&maker);
  live();
}
inline void make(Fiber& self) {
  *reinterpret_cast<u64*>(self.stack) = CANARY;
  ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = self.stack;
  context.uc_stack.ss_size = STACK;
  context.uc_link = nullptr;
  const u64 address = reinterpret_cast<u64>(&self);
  makecontext(&context, reinterpret_cast<void (*)()>(born), 2, u32(address >> 32), u32(address));
  swapcontext(&maker, &context);
}

#endif

inline bool overflowed(const Fiber& self) { return *reinterpret_cast<const u64*>(self.stack) != CANARY; }
