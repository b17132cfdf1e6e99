"""One pass through an affine: antialiased, differentiable, and back again."""

import pytest
import torch

from guided_face_edit.editor_core.face.resampling import invert, resample, resampler, transform
from guided_face_edit.tests.support.groups import aligned, group_photo


@pytest.mark.parametrize("factor", [3, 7])
def test_a_smaller_crop_is_the_mean_of_the_pixels_it_covers(factor, generator):
    x = torch.rand(1, 3, 8 * factor, 8 * factor, generator=generator)
    affine = torch.tensor([[[float(factor), 0, 0], [0, factor, 0]]])
    expected = torch.nn.functional.avg_pool2d(x, factor)
    torch.testing.assert_close(resample(x, affine, (8, 8), "reflection"), expected)


def test_fine_stripes_do_not_turn_into_coarse_ones():
    stripes = (torch.arange(256) % 2).float().expand(1, 1, 256, 256)
    affine = torch.tensor([[[3.7, 0.4, 1.0], [-0.4, 3.7, 12.0]]])
    inner = resample(stripes, affine, (60, 60), "reflection")[..., 4:-4, 4:-4]
    assert (inner - 0.5).abs().max() < 0.2


def test_a_crop_has_gradients(generator):
    x = torch.rand(1, 1, 7, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    affine = torch.tensor([[[1.3, 0.2, -1.0], [-0.2, 1.3, 2.0]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: resample(x, affine, (5, 5), "reflection"), x)


MANY = torch.tensor(  # pixels of 7 x 9 that are passed over, or not
    [[[1.3, 0.2, -1.0], [-0.2, 1.3, 2.0]], [[0.6, 0, 1.0], [0, 0.6, 1]], [[1.7, 0, 0], [0, 1.7, 0]]]
)


def test_many_pictures_are_resampled_as_each_alone(generator):
    x = torch.rand(3, 2, 7, 9, generator=generator)
    together = resampler(MANY, (5, 4), (7, 9))(x)
    for k in range(3):
        row = slice(k, k + 1)
        assert torch.equal(resampler(MANY[row], (5, 4), (7, 9))(x[row]), together[row])
        expected = resample(x[row], MANY[row], (5, 4), "reflection")
        torch.testing.assert_close(together[row], expected)


def test_many_pictures_have_gradients(generator):
    x = torch.rand(3, 1, 7, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(resampler(MANY.double(), (5, 5), (7, 9)), x)


def test_there_and_back_is_the_same_place():
    faces = aligned(group_photo())
    back = transform(invert(faces.affine), transform(faces.affine, faces.points))
    torch.testing.assert_close(back, faces.points, rtol=0, atol=1e-3)
