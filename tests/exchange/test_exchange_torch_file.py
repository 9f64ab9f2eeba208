"""Torch files: read like torch reads them, and nothing in them is ever run."""

import io
import os
import pickle  # noqa: TID251 - to make files that must be refused
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_files import published

from vta_cli.errors import HeadError, VtaError
from vta_cli.exchange.tensor_files import read_tensors
from vta_cli.exchange.torch_file import read_torch

REAL = (
    "sa_0_4_vit_l_14_linear.pth", "sa_0_4_vit_b_16_linear.pth",
    "ava+logos-l14-reluMSE.pth", "sac+logos+ava1-l14-linearMSE.pth",
)  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_files_read_as_torch_reads_them(name):
    """Bit for bit what torch gives, tensors saved on a GPU included."""
    torch = pytest.importorskip("torch")
    file = published(name)
    wanted = torch.load(file, map_location="cpu", weights_only=True)
    found = read_torch(file)
    assert list(found) == list(wanted)
    for key, value in found.items():
        assert np.array_equal(value, wanted[key].numpy())


def test_types_views_and_parameters(tmp_path):
    """Every number type, slices, transposes, scalars, parameters, shared storages."""
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = {
        "double": base.double() / 7,
        "half": base.half() / 7,
        "bfloat16": base.bfloat16() / 7,
        "long": base.long(),
        "bool": base > 3,
        "slice": base[1:3, 2:5],
        "transposed": base.T,
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(base),
    }
    torch.save(state, tmp_path / "state.pth")
    found = read_torch(tmp_path / "state.pth")
    assert set(found) == set(state)
    for key, value in state.items():
        wide = value.float() if value.dtype in (torch.half, torch.bfloat16) else value
        assert np.array_equal(found[key], wide.detach().numpy()), key
        assert found[key].shape == tuple(value.shape)


@pytest.mark.parametrize("wrap", ["state_dict", "model_state_dict", "model"])
def test_state_dict_one_level_deeper(tmp_path, wrap):
    """Trainers like to put the tensors beside an epoch and an optimiser."""
    torch = pytest.importorskip("torch")
    torch.save({"epoch": 3, wrap: {"weight": torch.ones(2, 2)}}, tmp_path / "c.pth")
    assert np.array_equal(read_torch(tmp_path / "c.pth")["weight"], np.ones((2, 2)))


class Evil:
    """Something that runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def archive(path, program, **entries):
    """Write a torch-like archive."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        for name, data in entries.items():
            file.writestr(f"archive/{name}", data)
    return path


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_program_is_refused_and_not_run(tmp_path, protocol):
    """A file that asks for any other function is refused before anything happens."""
    trap = tmp_path / "sprung"
    file = archive(tmp_path / "evil.pth", pickle.dumps({"w": Evil(trap)}, protocol))
    with pytest.raises(HeadError, match="mkdir") as error:
        read_tensors(file)
    assert error.value.slug == "not-plain-tensors"
    assert not trap.exists()


def test_torchscript_compressed_and_endless_files_are_refused(tmp_path):
    """Programs, zip bombs and tensors beyond their storage are no heads."""
    plain = pickle.dumps({}, 2)
    with pytest.raises(HeadError, match="TorchScript"):
        read_torch(archive(tmp_path / "script.pt", plain, **{"constants.pkl": b""}))
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", plain)
        file.writestr("archive/data/0", bytes(1_000_000))
    with pytest.raises(HeadError, match="compressed"):
        read_torch(tmp_path / "bomb.pth")
    # a tensor of a thousand million numbers on a storage of four
    text = (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(("
        b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04t"
        b"QK\x00J\x00\xca\x9a\x3b\x85K\x00\x85\x89NtRs."
    )
    with pytest.raises(HeadError, match="beyond its storage"):
        read_torch(archive(tmp_path / "wide.pth", text, **{"data/0": bytes(16)}))


@pytest.fixture(scope="module")
def small_file():
    """Return the bytes of a small sound torch file."""
    torch = pytest.importorskip("torch")
    out = io.BytesIO()
    torch.save({"weight": torch.ones(1, 8), "bias": torch.zeros(1)}, out)
    return out.getvalue()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_ends_in_an_error_of_ours(small_file, tmp_path, data):
    """Whatever bytes are flipped or cut off: arrays, or one of vta's errors, never a crash."""
    broken = bytearray(small_file)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        broken = broken[: data.draw(st.integers(0, len(broken)))]
    path = tmp_path / "broken.pth"
    path.write_bytes(broken)
    try:
        found = read_tensors(path)
    except VtaError:
        return
    assert all(isinstance(value, np.ndarray) for value in found.values())


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_program_ends_in_an_error_of_ours(small_file, tmp_path, data):
    """The same for the program alone, which the archive's checksum would otherwise protect."""
    with zipfile.ZipFile(io.BytesIO(small_file)) as file:
        names = file.namelist()
        entries = {name: file.read(name) for name in names}
    (program,) = [name for name in names if name.endswith("data.pkl")]
    broken = bytearray(entries[program])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "broken.pth"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, bytes(broken) if name == program else entries[name])
    try:
        found = read_tensors(path)
    except VtaError:
        return
    assert all(isinstance(value, np.ndarray) for value in found.values())
