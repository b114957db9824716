"""Other engines on the same layers: each an optional package behind :class:`fastconv.bench.peers.engine.Engine`."""

from __future__ import annotations

from fastconv.bench.peers import jax, litert, mnn, ncnn, numpy, opencv, openvino, ort, pytorch, scipy
from fastconv.bench.peers.engine import Engine

# To add an engine, add a line.
PEERS: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        pytorch.Contiguous(),
        pytorch.ChannelsLast(),
        pytorch.Mkldnn(),
        pytorch.Prepacked(),
        ort.OnnxRuntime(),
        openvino.OpenVino(),
        ncnn.Ncnn(),
        mnn.Mnn(),
        opencv.OpenCv(),
        jax.Jax(),
        litert.LiteRt(),
        numpy.NumPy(),
        scipy.Fft(),
        scipy.FftConvolve(),
        scipy.OaConvolve(),
    )
}
