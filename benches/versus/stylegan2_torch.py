"""A PyTorch StyleGAN2 in two or three dimensions: the peer to be measured against.

Skip generator, residual discriminator, modulated and demodulated convolutions, separable [1,3,3,1]
resampling, minibatch standard deviation, R1 and path-length regularisation by double backward.
A grid is a base and a list of factors per axis and block. Block i is called b{4*2^i} whatever its size. Along an axis
with factor 1 nothing is resampled: the transposed convolution has stride 1 and padding 1 there, and no FIR acts.

`Bench` holds what is timed: generation, and a training step (generator phase, discriminator phase on fakes and reals,
Adam, EMA) without and with the lazy regularisers (R1 shares the forward pass of the reals, path length runs on half the
batch).
"""
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

TAPS = (1.0, 3.0, 3.0, 1.0)


def dims(x):
    return x.ndim - 2


def conv(x, w, **kw):
    return (F.conv3d if dims(x) == 3 else F.conv2d)(x, w, **kw)


def spread(v, x):
    """[N,C] or [C] as a factor for [N,C,(D,)H,W]."""
    return v.reshape(*v.shape, *[1] * dims(x))


def pad(x, before, after, factors, otherwise=0):
    """Pad the axes with factor 2 by (before, after), the others by `otherwise` on both sides."""
    p = []
    for f in reversed(factors):
        p += [before, after] if f == 2 else [otherwise, otherwise]
    return F.pad(x, p)


def fir(x, gain, factors):
    """Depthwise separable FIR along the axes with factor 2, `gain` on each; the input must be padded already."""
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    taps = taps / taps.sum() * gain
    c = x.shape[1]
    for axis, f in enumerate(factors):
        if f == 2:
            shape = [1] * x.ndim
            shape[2 + axis] = 4
            x = conv(x, taps.reshape(shape).expand(c, 1, *shape[2:]), groups=c)
    return x


def every(factors):
    return (slice(None), slice(None)) + tuple(slice(None, None, f) for f in factors)


def upsample(x, factors):
    """Zeros between samples, pad (2,1), filter with gain two per doubled axis."""
    y = x.new_zeros(*x.shape[:2], *[f * s for f, s in zip(factors, x.shape[2:])])
    y[every(factors)] = x
    return fir(pad(y, 2, 1, factors), 2.0, factors)


def lrelu(x, b, gain=math.sqrt(2)):
    return F.leaky_relu(x + b.reshape(1, -1, *[1] * (x.ndim - 2)), 0.2) * gain


class Fc(nn.Module):
    def __init__(self, i, o, act=False, lr=1.0, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(o, i) / lr)
        self.bias = nn.Parameter(torch.full([o], float(bias)))
        self.act, self.gain, self.lr = act, lr / math.sqrt(i), lr

    def forward(self, x):
        x = F.linear(x, self.weight * self.gain)
        return lrelu(x, self.bias * self.lr) if self.act else x + self.bias * self.lr


class Mapping(nn.Module):
    def __init__(self, z, w, num_ws, layers):
        super().__init__()
        self.num_ws, self.layers = num_ws, layers
        for k in range(layers):
            setattr(self, f"fc{k}", Fc(z if k == 0 else w, w, act=True, lr=0.01))
        self.register_buffer("w_avg", torch.zeros(w))

    def forward(self, z, psi=1.0):
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for k in range(self.layers):
            x = getattr(self, f"fc{k}")(x)
        if psi != 1.0:
            x = self.w_avg.lerp(x, psi)
        return x[:, None].repeat(1, self.num_ws, 1)


def modconv(x, weight, style, up=None, demodulate=True):
    """Scale the input by the style, convolve with shared weights, scale the output."""
    y = x * spread(style, x)
    if up:
        transposed = F.conv_transpose3d if dims(x) == 3 else F.conv_transpose2d
        y = transposed(y, weight.transpose(0, 1), stride=up, padding=[2 - f for f in up])
        y = fir(pad(y, 1, 1, up), 2.0, up)
    else:
        y = conv(y, weight, padding=weight.shape[-1] // 2)
    if demodulate:
        y = y * spread((style.square() @ weight.square().flatten(2).sum(2).T + 1e-8).rsqrt(), y)
    return y


class Layer(nn.Module):
    def __init__(self, i, o, w, shape, up=None):
        super().__init__()
        self.affine = Fc(w, i, bias=1.0)
        self.weight = nn.Parameter(torch.randn(o, i, *[3] * len(shape)))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(o))
        self.register_buffer("noise_const", torch.randn(*shape))
        self.up = up

    def forward(self, x, w, noise):
        x = modconv(x, self.weight, self.affine(w), up=self.up)
        if noise == "random":
            x = x + torch.randn_like(x[:, :1]) * self.noise_strength
        elif noise == "const":
            x = x + self.noise_const * self.noise_strength
        return lrelu(x, self.bias)


class ToImage(nn.Module):
    def __init__(self, i, o, w, nd):
        super().__init__()
        self.affine = Fc(w, i, bias=1.0)
        self.weight = nn.Parameter(torch.randn(o, i, *[1] * nd))
        self.bias = nn.Parameter(torch.zeros(o))

    def forward(self, x, w):
        s = self.affine(w) / math.sqrt(self.weight.shape[1])
        return modconv(x, self.weight, s, demodulate=False) + spread(self.bias, x)


class Synthesis(nn.Module):
    def __init__(self, w, grid, channels, img):
        super().__init__()
        self.grid = grid
        for (r, shape), up in zip(grid.levels(), [None] + grid.factors):
            b = nn.Module()
            if r == 4:
                b.const = nn.Parameter(torch.randn(channels[4], *shape))
            else:
                b.conv0 = Layer(channels[r // 2], channels[r], w, shape, up)
            b.conv1 = Layer(channels[r], channels[r], w, shape)
            b.torgb = ToImage(channels[r], img, w, len(shape))
            setattr(self, f"b{r}", b)

    def forward(self, ws, noise="random"):
        x = img = None
        i = 0
        for (r, _), up in zip(self.grid.levels(), [None] + self.grid.factors):
            b = getattr(self, f"b{r}")
            if r == 4:
                x = b.const[None].repeat(ws.shape[0], *[1] * b.const.ndim)
            else:
                x = b.conv0(x, ws[:, i], noise)
                i += 1
            x = b.conv1(x, ws[:, i], noise)
            i += 1
            y = b.torgb(x, ws[:, i])  # shares the w of the next block's first convolution
            img = y if img is None else upsample(img, up) + y
        return img


class Grid:
    """Base size and doublings: Grid([5, 6, 5], [[2, 2, 2]] * 4) is 80x96x80."""

    def __init__(self, base, factors):
        self.base, self.factors = base, factors

    @staticmethod
    def cube(res, nd=3):
        return Grid([4] * nd, [[2] * nd] * (int(math.log2(res)) - 2))

    def levels(self):
        out = [(4, list(self.base))]
        for f in self.factors:
            out.append((out[-1][0] * 2, [a * b for a, b in zip(out[-1][1], f)]))
        return out

    def shape(self):
        return self.levels()[-1][1]

    def channels(self, base, cmax):
        return {r: min(base // r, cmax) for r, _ in self.levels()}


class Generator(nn.Module):
    def __init__(self, grid, base, cmax, zdim, wdim, img=1, layers=8):
        super().__init__()
        self.z_dim = zdim
        self.mapping = Mapping(zdim, wdim, 2 * len(grid.levels()), layers)
        self.synthesis = Synthesis(wdim, grid, grid.channels(base, cmax), img)

    def forward(self, z, psi=1.0, noise="random"):
        return self.synthesis(self.mapping(z, psi), noise)


class Conv(nn.Module):
    def __init__(self, i, o, k, nd, bias=True, act=True, down=None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(o, i, *[k] * nd))
        self.bias = nn.Parameter(torch.zeros(o)) if bias else None
        self.act, self.down, self.gain = act, down, 1 / math.sqrt(i * k**nd)

    def forward(self, x, gain=1.0):
        k, w = self.weight.shape[-1], self.weight * self.gain
        if self.down and k == 1:
            x = conv(fir(pad(x, 1, 1, self.down), 1.0, self.down)[every(self.down)], w)
        elif self.down:
            x = conv(fir(pad(x, 2, 2, self.down, otherwise=1), 1.0, self.down), w, stride=self.down)
        else:
            x = conv(x, w, padding=k // 2)
        return lrelu(x, self.bias, math.sqrt(2) * gain) if self.act else x * gain


class Discriminator(nn.Module):
    def __init__(self, grid, base, cmax, img=1, group=4):
        super().__init__()
        ch, nd, top = grid.channels(base, cmax), len(grid.base), grid.levels()[-1][0]
        self.resolutions, self.group = [r for r, _ in reversed(grid.levels()[1:])], group
        for r, down in zip(self.resolutions, reversed(grid.factors)):
            b = nn.Module()
            if r == top:
                b.fromrgb = Conv(img, ch[r], 1, nd)
            b.conv0 = Conv(ch[r], ch[r], 3, nd)
            b.conv1 = Conv(ch[r], ch[r // 2], 3, nd, down=down)
            b.skip = Conv(ch[r], ch[r // 2], 1, nd, bias=False, act=False, down=down)
            setattr(self, f"b{r}", b)
        self.b4 = nn.Module()
        self.b4.conv = Conv(ch[4] + 1, ch[4], 3, nd)
        self.b4.fc = Fc(ch[4] * math.prod(grid.base), ch[4], act=True)
        self.b4.out = Fc(ch[4], 1)

    def forward(self, img):
        x = img
        for r in self.resolutions:
            b = getattr(self, f"b{r}")
            if hasattr(b, "fromrgb"):
                x = b.fromrgb(x)
            y = b.skip(x, math.sqrt(0.5))
            x = y + b.conv1(b.conv0(x), math.sqrt(0.5))
        n, c = x.shape[:2]
        g = min(self.group, n)
        s = x.reshape(g, n // g, -1)  # a group is strided: samples j, j + n/g, j + 2n/g, ...
        s = (s - s.mean(0)).square().mean(0).add(1e-8).sqrt().mean(1)
        x = torch.cat([x, spread(s[:, None], x).repeat(g, 1, *x.shape[2:])], 1)
        return self.b4.out(self.b4.fc(self.b4.conv(x).flatten(1)))


class Bench:
    """Networks, optimisers and a batch. `compiled` puts torch.compile around synthesis and discriminator."""

    def __init__(self, resolution, batch, channel_base, channel_max, latent, compiled):
        torch.manual_seed(0)
        grid = Grid.cube(resolution)
        self.G = Generator(grid, channel_base, channel_max, latent, latent, 1, 8)
        self.D = Discriminator(grid, channel_base, channel_max)
        self.ema = copy.deepcopy(self.G)
        adam = lambda net: torch.optim.Adam(net.parameters(), 0.0025, betas=(0.0, 0.99), eps=1e-8)
        self.opt_g, self.opt_d = adam(self.G), adam(self.D)
        # torch.compile cannot be differentiated twice: the regularised phases stay eager.
        self.synthesis, self.discriminator_of_step = (
            (torch.compile(self.G.synthesis), torch.compile(self.D)) if compiled else (self.G.synthesis, self.D)
        )
        self.z = torch.randn(batch, latent)
        self.x = torch.randn(batch, 1, *[resolution] * 3)

    def parameters(self):
        """Numbers of trained parameters."""
        count = lambda net: sum(p.numel() for p in net.parameters())
        return {"generator": count(self.G), "discriminator": count(self.D)}

    def fakes(self):
        return self.synthesis(self.G.mapping(self.z))

    def generate(self):
        with torch.no_grad():
            self.fakes()

    def step(self, r1=False, pl=False):
        G, D = self.G, self.D

        def grads(net, on):
            net.requires_grad_(on)
            net.zero_grad(set_to_none=True)

        grads(G, True), grads(D, False)
        F.softplus(-self.discriminator_of_step(self.fakes())).mean().backward()
        if pl:
            ws = G.mapping(self.z[: max(1, len(self.z) // 2)])
            img = G.synthesis(ws)
            y = torch.randn_like(img) / math.sqrt(img[0, 0].numel())
            g, = torch.autograd.grad((img * y).sum(), ws, create_graph=True)
            (2 * (g.square().sum(2).mean(1).sqrt() - 1).square().mean()).backward()
        self.opt_g.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(G.parameters()), 0.001)
        grads(G, False), grads(D, True)
        with torch.no_grad():
            fake = self.fakes()
        F.softplus(self.discriminator_of_step(fake)).mean().backward()
        real = self.x.clone().requires_grad_(r1)
        logit = (D if r1 else self.discriminator_of_step)(real)
        loss = F.softplus(-logit).mean()
        if r1:
            g, = torch.autograd.grad(logit.sum(), real, create_graph=True)
            loss = loss + 5 * g.square().sum([1, 2, 3, 4]).mean()
        loss.backward()
        self.opt_d.step()
