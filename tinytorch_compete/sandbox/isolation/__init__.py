"""The layers that confine a run: namespaces, cgroups, seccomp, Landlock, users, the watcher."""
