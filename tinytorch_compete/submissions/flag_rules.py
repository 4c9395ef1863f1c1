"""Every rule that flags a submission's code for manual review, in one table.

An honest answer needs none of these modules, names and strings.
"""

from __future__ import annotations

import re

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """A reason for manual review, and the code that triggers it.

    ``modules`` match imports of a module or of anything in it; ``names`` match an identifier, be it
    a name or an attribute; ``bare_names`` match a name alone, for methods of other objects may be
    called the same (``model.eval()``, ``re.compile``); ``text`` is searched in string constants.
    """

    reason: str
    modules: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    bare_names: frozenset[str] = frozenset()
    text: re.Pattern[str] | None = None

    def matches_import(self, imported: str) -> bool:
        """Whether a dotted name is one of the modules or lies in one."""
        return any(f"{imported}.".startswith(f"{module}.") for module in self.modules)

    def matches_name(self, name: str, *, is_attribute: bool) -> bool:
        """Whether code that mentions a name triggers this rule."""
        return name in self.names or (name in self.bare_names and not is_attribute)

    def matches_text(self, text: str) -> bool:
        """Whether a string constant triggers this rule."""
        return self.text is not None and self.text.search(text) is not None


RULES: tuple[Rule, ...] = (
    Rule(
        "touches the grader's probe",
        modules=frozenset({"compete_probe"}),
        text=re.compile(r"COMPETE_|compete_probe"),
    ),
    Rule(
        "rewrites cells that run later",
        names=frozenset(
            {
                "ast_node_interactivity",
                "ast_transformers",
                "input_transformer_manager",
                "input_transformers_cleanup",
                "input_transformers_post",
            }
        ),
    ),
    Rule(
        "reaches into the notebook's kernel",
        modules=frozenset({"IPython.core", "ipykernel", "jupyter_client", "zmq"}),
        names=frozenset({"get_ipython", "iopub_socket", "run_cell", "user_ns"}),
        text=re.compile(r"kernel\.json|inside\.json"),
    ),
    Rule(
        "calls C directly",
        modules=frozenset({"_ctypes", "cffi", "ctypes"}),
        names=frozenset({"ctypeslib"}),
    ),
    Rule(
        "looks at objects and frames that aren't its own",
        names=frozenset(
            {
                "_getframe",
                "f_back",
                "f_globals",
                "f_locals",
                "get_objects",
                "get_referents",
                "get_referrers",
            }
        ),
    ),
    Rule(
        "starts processes or threads, or ends them",
        modules=frozenset(
            {
                "_posixsubprocess",
                "_thread",
                "concurrent",
                "multiprocessing",
                "subprocess",
                "threading",
            }
        ),
        names=frozenset(
            {
                "_exit",
                "abort",
                "execv",
                "execve",
                "execvp",
                "fork",
                "forkpty",
                "kill",
                "killpg",
                "posix_spawn",
                "system",
            }
        ),
    ),
    Rule(
        "uses the network",
        modules=frozenset({"ftplib", "http", "requests", "socket", "ssl", "urllib", "urllib3"}),
        text=re.compile(r"https?://"),
    ),
    Rule(
        "keeps memory where it is hard to count",
        modules=frozenset({"mmap"}),
        names=frozenset({"memfd_create", "shm_open"}),
        text=re.compile(r"/dev/shm"),
    ),
    Rule(
        "changes limits, signals or clocks",
        modules=frozenset({"resource", "signal"}),
        names=frozenset({"clock_settime", "prctl", "setprofile", "setrlimit", "settrace"}),
    ),
    Rule(
        "names files outside its own folder",
        text=re.compile(r"^(/|\.\./)\w*.*|/proc/|\.ipynb"),
    ),
    Rule(
        "runs text as code",
        modules=frozenset({"code", "codeop", "marshal", "runpy"}),
        names=frozenset({"__builtins__"}),
        bare_names=frozenset({"compile", "eval", "exec"}),
    ),
)
