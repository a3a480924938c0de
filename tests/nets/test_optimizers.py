"""Muon: orthogonal steps for kernels, Adam for the rest."""

import pytest
import torch

from arm_batch.nets.optimizers import Muon, make_optimizers, orthogonalize
from arm_batch.nets.registry import get_backbone
from arm_batch.nets.slimmable import Supernet


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_orthogonalizing_keeps_directions_and_evens_out_singular_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    orthogonal = orthogonalize(matrix)
    assert orthogonal.shape == shape
    values = torch.linalg.svdvals(orthogonal)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonal @ vh.T
    torch.testing.assert_close(inner - torch.diag(inner.diag()), torch.zeros_like(inner), atol=1e-4, rtol=0)


def test_orthogonalizing_nothing_gives_nothing():
    assert (orthogonalize(torch.zeros(3, 4)) == 0).all()


def test_a_step_has_the_length_that_its_shape_and_rate_ask_for():
    kernel = torch.nn.Parameter(torch.zeros(8, 4, 3, 3))
    kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0))
    Muon([kernel], lr=0.1).step()
    expected = 0.1 * 0.2 * 36**0.5
    values = torch.linalg.svdvals(kernel.detach().flatten(1)) / expected
    assert values.min() > 0.6
    assert values.max() < 1.3
    # Downhill.
    assert (kernel * kernel.grad).sum() < 0


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_every_trained_parameter_belongs_to_one_optimiser(name):
    supernet = Supernet(get_backbone("carn"), 4)
    owned = [p for o in make_optimizers(name, supernet, 1e-3) for group in o.param_groups for p in group["params"]]
    trained = [p for p in supernet.parameters() if p.requires_grad]
    assert len(owned) == len({id(p) for p in owned}) == len(trained)
    assert {id(p) for p in owned} == {id(p) for p in trained}
