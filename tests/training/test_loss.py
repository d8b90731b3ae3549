"""What the transformer is given for a loss."""

import torch

from backend.training.batches import TrainingBatch
from backend.training.loss import LossSettings, batch_loss
from backend.training.noise_sampling import NoiseLevels, NoiseSampling


class Recorder(torch.nn.Module):
    """Stands where a transformer would: keeps what it is given, predicts zeros."""

    def forward(self, x, timestep, **others):
        self.x, self.timestep, self.others = x, timestep, others
        return torch.zeros(len(x), 16, *x.shape[2:])


def loss_of(recorder, **settings):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 16, 3, 4, 6, generator=generator)
    batch = TrainingBatch(latents, torch.zeros(2, 4, 8), torch.ones(2, 4), torch.zeros(2, 8))
    noise = torch.randn(latents.shape, generator=generator)
    levels = NoiseLevels(torch.tensor([0.25, 1.0]), torch.tensor([251.0, 1001.0]))
    loss = batch_loss(recorder, batch, noise=noise, levels=levels, settings=LossSettings(NoiseSampling(), **settings))
    return loss, latents * 0.476986, noise


def test_the_target_is_the_velocity_from_data_to_noise():
    recorder = Recorder()
    loss, latents, noise = loss_of(recorder, guidance_scale=3.5)
    torch.testing.assert_close(loss, (noise - latents).square().mean())
    torch.testing.assert_close(recorder.x[0], 0.25 * noise[0] + 0.75 * latents[0])
    assert recorder.others["guidance"].tolist() == [3.5, 3.5]


def test_a_model_that_continues_a_picture_is_told_the_first_frame():
    recorder = Recorder()
    _, latents, noise = loss_of(recorder, continues_a_picture=True)
    assert recorder.x.shape == (2, 32, 3, 4, 6)
    torch.testing.assert_close(recorder.x[1, :16], noise[1])
    torch.testing.assert_close(recorder.x[:, 16:, 0], latents[:, :, 0])
    assert not recorder.x[:, 16:, 1:].any()
