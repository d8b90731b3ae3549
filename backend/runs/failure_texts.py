"""Every way in which a run can fail, by id: the cause in one sentence, and what to change. The one place of the words.

What stands in braces are the parameters of the failure. A translation has the same ids and parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True)
class FailureText:
    """cause: one sentence. advice: what to change.

    exact: the cause with more in it; the first of them of which all parameters are known takes its place.
    """

    cause: str
    advice: str
    exact: tuple[str, ...] = ()

    def sentence(self, parameters: Mapping[str, object]) -> str:
        """The cause, as exactly as the parameters allow."""
        return most_exact((*self.exact, self.cause), parameters).format_map(parameters)


def most_exact(sentences: Sequence[str], parameters: Mapping[str, object]) -> str:
    """The first of the sentences of which all parameters are known, else the last."""
    names = {sentence: {name for _, name, _, _ in Formatter().parse(sentence) if name} for sentence in sentences}
    return next((sentence for sentence in sentences if names[sentence] <= parameters.keys()), sentences[-1])


TEXTS = {
    "gpu_out_of_memory": FailureText(
        "The GPU ran out of memory.",
        "Use gradient checkpointing, swap more blocks, keep the weights in 8 bits, or train at a lower resolution or "
        "with fewer frames. Close other programs that use the GPU.",
        exact=(
            "The GPU ran out of memory: {wanted} more were wanted, {free} of {total} were free.",
            "The GPU ran out of memory: {wanted} more were wanted.",
        ),
    ),
    "host_out_of_memory": FailureText(
        "The machine ran out of main memory.",
        "Use fewer reading threads, swap fewer blocks, or close other programs.",
        exact=("The machine ran out of main memory: {wanted} more could not be had.",),
    ),
    "killed_for_memory": FailureText(
        "The system killed the run because main memory ran out (signal {signal}, {signal_name}).",
        "Use fewer reading threads, swap fewer blocks, or close other programs; then resume from the last state.",
    ),
    "killed": FailureText(
        "Something outside ended the run: signal {signal}, {signal_name}.",
        "If nobody did it, main memory may have run out: use fewer reading threads or swap fewer blocks; then resume "
        "from the last state.",
    ),
    "fault": FailureText(
        "A library made the process crash: signal {signal}, {signal_name}.",
        "The lines below show where. A newer version of the library or driver may help; then resume from the last "
        "state.",
    ),
    "vanished": FailureText(
        "The run went away after step {step} without a word: the machine went down, or everything was ended at once.",
        "Resume from the last state.",
    ),
    "disk_full": FailureText(
        "The disk is full: {message}",
        "Make room on it, or choose another output folder; then resume from the last state.",
    ),
    "missing_file": FailureText("A file is missing: {message}", "Check the path, or put the file back."),
    "damaged_file": FailureText("A file is damaged: {message}", "Fetch or make the file again."),
    "wrong_model_file": FailureText(
        "A model file is not what is wanted here: {message}", "Choose the file that the option asks for."
    ),
    "empty_dataset": FailureText(
        "There is nothing to train on: {message}",
        "Check the folders of the dataset, then cache latents and text encoder outputs.",
    ),
    "dataset": FailureText("Something is wrong with the dataset: {message}", "Mend what is named, then cache again."),
    "loss_not_finite": FailureText(
        "The loss was no number in {count} steps in a row, up to step {step}.",
        "Lower the learning rate, or compute in bf16. The weights are those before these steps, and are saved.",
    ),
    "missing_package": FailureText(
        "A library that the settings need cannot be imported: {package}.",
        "Install it (pip install {install}), or choose something that does without.",
    ),
    "port_taken": FailureText(
        "Another program uses the port at which the processes of the training meet.",
        "Leave the port empty, so that a free one is taken, or choose another.",
        exact=("Another program uses the port {port}, at which the processes of the training meet.",),
    ),
    "wrong_setting": FailureText("A setting does not work: {message}", "Change what is named."),
    "needed_run": FailureText(
        "It was not started because it needs {run}, which is {state}.", "See why that one ended, then start both again."
    ),
    "not_started": FailureText("It could not be started: {message}", "See the lines below."),
    "told": FailureText("{message}", "See the lines below."),
    "unknown": FailureText("It ended with an error that is not known here: {message}", "The last lines are below."),
}
"""By id. "told": the run said itself what is wrong, in words that have no id."""
