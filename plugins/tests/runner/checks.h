// What the runner's tests check with, and the list of them.
#ifndef VMEXPORT_TESTS_RUNNER_CHECKS_H
#define VMEXPORT_TESTS_RUNNER_CHECKS_H

#include <functional>
#include <string>

#include "../../runner/error.h"

namespace checks {

void expect(bool holds, const std::string& what);

// `call` throws an Error of this status whose text holds `words`.
void refused(vmexport::runner::Exit status, const std::string& words, const std::string& what,
             const std::function<void()>& call);

// `call` returns or throws an Error; anything else is a failure (and a sanitizer ends the program).
void survives(const std::string& what, const std::function<void()>& call);

// Prints the outcome; the exit status of the program.
int finish();

// An empty folder of this run, removed at the end.
std::string folder();

void test_npy();
void test_options();
void test_onnx();
void test_json();
void test_comparison();
void test_files();
void test_sidecar();
void test_text();

}  // namespace checks

#endif  // VMEXPORT_TESTS_RUNNER_CHECKS_H
