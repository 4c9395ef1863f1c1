"""What holds a run: namespaces, cgroups, seccomp, Landlock, users, the watcher."""
