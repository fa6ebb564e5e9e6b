# SPDX-License-Identifier: Apache-2.0
"""The forms in which a CTR model's forward pass can run: PyTorch's ways to run it times its
precisions, and ONNX Runtime's. A form that gives other logits is no rival and is refused."""
import copy
import math
import pathlib
import tempfile

WAYS = ("eager", "torchscript", "compiled")
PRECISIONS = ("float32", "bfloat16", "int8")
# By name: how it runs, and its precision. int8 is dynamic quantisation of the linear layers.
FORMS = {way if precision == "float32" else f"{way}_{precision}": (way, precision)
         for precision in PRECISIONS for way in WAYS}
FORMS.update({"onnx": ("onnx", "float32"), "onnx_int8": ("onnx", "int8")})

# The largest difference from the logits of the eager form in float32. What narrower numbers may
# cost is what ctr_bench allows ours in eight bits (core/ctr/check.h).
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.25, "int8": 0.25}


def in_form(model, form, example=()):
    """The model's forward pass in a form of FORMS; `example`, which those of ONNX Runtime need, has
    arguments of a request."""
    import torch

    way, precision = FORMS[form]
    if way == "onnx":
        return in_onnx(model, precision, example)
    if precision == "bfloat16":
        model = copy.deepcopy(model).to(torch.bfloat16)
    elif precision == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear},
                                                       dtype=torch.qint8)
    if way == "torchscript":
        return torch.jit.script(model)
    return torch.compile(model) if way == "compiled" else model


def in_onnx(model, precision, example):
    """The same by ONNX Runtime, for requests of the shape of `example`, with as many threads as
    PyTorch has."""
    import onnxruntime
    import torch

    inputs = ["users", "window", "ends", "candidates"]
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "model.onnx")
        torch.onnx.export(model, example, path, input_names=inputs, verbose=False)
        if precision == "int8":
            from onnxruntime.quantization import QuantType, quantize_dynamic
            path, exact = str(pathlib.Path(folder) / "int8.onnx"), path
            quantize_dynamic(exact, path, op_types_to_quantize=["MatMul", "Gemm"],
                             weight_type=QuantType.QInt8)
        session = onnxruntime.InferenceSession(path, settings,
                                               providers=["CPUExecutionProvider"])
    used = {entry.name for entry in session.get_inputs()}

    def call(*arguments):
        return session.run(None, {name: value.numpy() for name, value in zip(inputs, arguments)
                                  if name in used})
    return call


def logits_of(result):
    """float32 logits from what a form returns."""
    import torch

    return torch.as_tensor(result[0]).to(torch.float32)


def difference(call, model, drawn):
    """The largest difference of the logits of `call` from those of `model`; NaN where one is."""
    worst = 0.0
    for arguments in drawn:
        largest = float((logits_of(call(*arguments)) - logits_of(model(*arguments))).abs().max())
        worst = math.nan if math.isnan(largest) else max(worst, largest)
    return worst


def require_agreement(form, found):
    """Raises ValueError where logits differ by more than the form's precision may cost."""
    allowed = TOLERANCES[FORMS[form][1]]
    if not found <= allowed:
        raise ValueError(f"logits differ by {found:.2g} from float32 (up to {allowed:g})")
