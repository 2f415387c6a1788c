// What autograd asks of a CUDA device while it walks over tensors that have no data: which device,
// which stream, is it in use. Without a driver PyTorch's own answers are errors.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <utility>

using namespace c10;

struct OneDevice final : impl::NoOpDeviceGuardImpl<DeviceType::CUDA> {
  DeviceIndex deviceCount() const noexcept override { return 1; }
  Device getDevice() const override { return Device(DeviceType::CUDA, 0); }
  Device exchangeDevice(Device) const override { return getDevice(); }
  Stream getStream(Device) const noexcept override { return Stream(Stream::DEFAULT, getDevice()); }
  Stream getDefaultStream(Device) const override { return getStream(getDevice()); }
  Stream exchangeStream(Stream) const noexcept override { return getStream(getDevice()); }
  void record(void** event, const Stream&, DeviceIndex, EventFlag) const override {
    *event = const_cast<OneDevice*>(this);
  }
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, DeviceIndex) const noexcept override {}
  void recordDataPtrOnStream(const DataPtr&, const Stream&) const override {}
};

struct OneDeviceHooks final : at::CUDAHooksInterface {
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
};

// Install the stubs where PyTorch's own are; called again, put these back.
extern "C" void exchange_cuda_device() {
  static const OneDevice guard;
  static const impl::DeviceGuardImplInterface* other_guard = &guard;
  auto& installed = impl::device_guard_impl_registry[static_cast<size_t>(DeviceType::CUDA)];
  other_guard = installed.exchange(other_guard);

  // PyTorch keeps the hooks in a place of its own and has no function to replace them, but they
  // hold no data: an object is of another class by the table of its virtual functions.
  static const OneDeviceHooks hooks;
  static void* other_table = *(void**)&hooks;
  std::swap(*(void**)&at::detail::getCUDAHooks(), other_table);
}
