"""A system-call filter for one worker, as raw BPF through ctypes: no library, no compiler, x86-64 and aarch64.

What is refused fails with EPERM, so that honest code which probes for a feature goes on. The filter binds every thread
and child of the process, and it cannot be taken off again. It needs no-new-privileges or root.
Source: seccomp(2); linux/filter.h, linux/seccomp.h, linux/audit.h.
"""

import ctypes
import errno
import os
import platform
import struct

# The numbers of a system call on x86-64 and aarch64. None: the architecture does not have the call.
Numbers = tuple[int | None, int | None]
Instruction = tuple[int, int, int, int]  # operation, jumps if true and if false, value

REFUSED: dict[str, Numbers] = {
    # other processes, and what the kernel keeps for root
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "open_by_handle_at": (304, 265),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    # memory and disk that no limit of a process counts, and that outlives it
    "memfd_create": (319, 279),
    "fallocate": (285, 47),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
_SOCKET: Numbers = (41, 198)
_CONNECT: Numbers = (42, 203)
_BIND: Numbers = (49, 200)
_CLONE: Numbers = (56, 220)
_CLONE3: Numbers = (435, 435)
_FORK: Numbers = (57, None)
_VFORK: Numbers = (58, None)
_TKILL: Numbers = (200, 130)
_PRLIMIT: Numbers = (302, 261)
_TO_A_PROCESS: dict[str, Numbers] = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}

_MACHINES = ("x86_64", "aarch64")
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # bit of the system-call number of x86-64's second calling convention
_CLONE_THREAD, _AF_UNIX = 0x00010000, 1
_LOAD, _EQUAL, _ABOVE, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NR, _ARCH, _ARG0 = 0, 4, 16  # offsets in struct seccomp_data; the low half of an argument comes first
_SET_MODE_FILTER = 1
_SECCOMP = {"x86_64": 317, "aarch64": 277}

_ALLOWED: Instruction = (_RETURN, 0, 0, _ALLOW)
_REFUSAL: Instruction = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
_MISSING: Instruction = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)


def available() -> bool:
    """Whether this machine has an architecture that the filter is written for."""
    return platform.machine() in _AUDIT and platform.system() == "Linux"


def install(processes: bool) -> None:
    """Filter this process for good. processes: whether it may start others.

    OSError: the kernel refuses.
    """
    program = assemble(platform.machine(), os.getpid(), processes)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_SECCOMP[platform.machine()], _SET_MODE_FILTER, 0, header):
        raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


def assemble(machine: str, pid: int, processes: bool) -> bytes:
    """The BPF program, eight bytes an instruction.

    pid: the process that is filtered. It may send signals to itself.
    processes: whether it may start others.
    KeyError: the machine is neither x86_64 nor aarch64.
    """
    code = _check_convention(machine)
    column = _MACHINES.index(machine)
    for numbers in REFUSED.values():
        code += _when(numbers[column], _REFUSAL)
    code += _when(_SOCKET[column], *_allow_if(_EQUAL, _AF_UNIX))
    code += _when(_PRLIMIT[column], (_LOAD, 0, 0, _ARG0), (_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, pid), _ALLOWED, _REFUSAL)
    if not processes:
        code += _keep_to_itself(column, pid)
    code.append(_ALLOWED)
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _check_convention(machine: str) -> list[Instruction]:
    """Refuse every calling convention but the machine's own one, and load the number of the call."""
    code: list[Instruction] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT[machine]), _MISSING, (_LOAD, 0, 0, _NR)]
    if machine == "x86_64":
        code += [(_ABOVE, 0, 1, _X32), _MISSING]
    return code


def _keep_to_itself(column: int, pid: int) -> list[Instruction]:
    """Allow threads, and no processes. Signals go to this process alone, and no socket joins it to another one."""
    # clone3 hides its flags behind a pointer. Without it the C library takes clone, whose flags can be read.
    code = _when(_CLONE3[column], _MISSING) + _when(_CLONE[column], *_allow_if(_BITS, _CLONE_THREAD))
    for numbers in (_FORK, _VFORK, _CONNECT, _BIND):  # sockets too would join two workers of one submission
        code += _when(numbers[column], _REFUSAL)
    for numbers in _TO_A_PROCESS.values():
        code += _when(numbers[column], *_allow_if(_EQUAL, pid))
    return code + _when(_TKILL[column], _REFUSAL)  # it addresses threads of any process; the C library uses tgkill


def _when(number: int | None, *then: Instruction) -> list[Instruction]:
    """Do this where the call has that number, and jump over it elsewhere."""
    return [] if number is None else [(_EQUAL, 0, len(then), number), *then]


def _allow_if(test: int, value: int) -> tuple[Instruction, ...]:
    """Allow the call if its first argument passes the test, else refuse it."""
    return (_LOAD, 0, 0, _ARG0), (test, 0, 1, value), _ALLOWED, _REFUSAL
