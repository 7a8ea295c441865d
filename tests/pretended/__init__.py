"""A pretended CUDA device: mistakes with devices, found on a machine that has none.

Tensors claim to lie on `cuda:0` while their data stay in ordinary memory. The code then does what it does on a GPU,
its branches for CUDA included, and what a GPU refuses is refused:

- an operation on tensors of two devices (0-dimensional tensors of the CPU may join elementwise ones, indices of the
  CPU may index, copies may cross: as with CUDA),
- a random generator of another device than the tensor that it fills,
- `.numpy()` of a tensor of the device, and its memory taken for memory of this process.

Whatever makes the host wait for a GPU is counted with the line that asks for it.

It shows nothing of what a GPU computes: no kernels, no rounding, no speed, no memory, no order of streams and no
errors that are reported late; nothing of Triton, cuBLAS and NCCL; nothing of torch.compile and TorchScript, and
nothing of other threads and processes, in which `cuda` means what it always means. That results on the pretended
device equal those on the CPU says that the same was computed, and no more.
"""
