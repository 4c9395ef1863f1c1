"""List all detectors in one table."""

from __future__ import annotations

from tinytorch_compete.insights import (
    backward,
    batches,
    copies,
    datasets,
    dtypes,
    graph,
    learning_dynamics,
    loops,
    losses,
    memory,
    repeated_work,
    training,
)
from tinytorch_compete.insights.finding import Detector

LEARNING = "learning"
# A run that ran out of memory is shown these first.
ABOUT_MEMORY = frozenset(
    {
        "float64",
        "dtype-promotion",
        "growing-arrays",
        "temporaries",
        "temporary-chain",
        "whole-dataset",
        "im2col-whole-batch",
        "fancy-copy",
        "needless-copy",
        "graph-alive",
        "unread-cache",
        "one-hot",
        "threads",
    }
)

DETECTORS: tuple[Detector, ...] = (
    Detector("float64", dtypes.float64),
    Detector("dtype-promotion", dtypes.dtype_promotion),
    Detector("loop-over-batch", batches.loop_over_batch),
    Detector("loop-over-pixels", loops.loop_over_pixels),
    Detector("loop-matmul", loops.loop_matmul),
    Detector("convolution-loops", loops.convolution_loops),
    Detector("batch-of-one", batches.batch_of_one),
    Detector("growing-arrays", memory.growing_arrays),
    Detector("temporaries", memory.temporaries),
    Detector("temporary-chain", memory.temporary_chain),
    Detector("whole-dataset", datasets.whole_dataset),
    Detector("im2col-whole-batch", datasets.im2col_whole_batch),
    Detector("fancy-copy", copies.fancy_copy),
    Detector("strided-matmul", copies.strided_matmul),
    Detector("needless-copy", copies.needless_copy),
    Detector("graph-alive", graph.graph_alive),
    Detector("unread-cache", backward.unread_cache),
    Detector("revisiting-backward", backward.revisiting_backward),
    Detector("gradients-kept", graph.gradients_kept, LEARNING),
    Detector("loop-constant", repeated_work.loop_constant),
    Detector("print-hot-loop", repeated_work.print_hot_loop),
    Detector("threads", repeated_work.threads),
    Detector("one-hot", losses.one_hot),
    Detector("exp-shift", losses.exp_shift, LEARNING),
    Detector("evaluate-often", training.evaluate_often),
    Detector("unshuffled", training.unshuffled, LEARNING),
    Detector("learning-rate", learning_dynamics.learning_rate, LEARNING),
    Detector("dead-relu", learning_dynamics.dead_relu, LEARNING),
)
ABOUT_LEARNING = frozenset(d.name for d in DETECTORS if d.about == LEARNING)
