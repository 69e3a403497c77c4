package confine

import (
	"path/filepath"
	"slices"
	"strings"
)

// Applied is what a confined process can still reach.
type Applied struct {
	rules   Rules // their paths without links
	anyPort bool
}

// Allows reports whether the process can do all that r says.
func (a *Applied) Allows(r Rules) bool {
	r = r.real()
	reach := append(slices.Clone(a.rules.Read), a.rules.Write...)
	switch {
	case r.Commands && !a.rules.Commands:
		return false
	case !a.rules.Commands && slices.ContainsFunc(r.Read, func(path string) bool { return !below(path, reach) }):
		return false
	case slices.ContainsFunc(r.Write, func(path string) bool { return !below(path, a.rules.Write) }):
		return false
	case a.anyPort:
		return true
	case r.Resolve && !a.rules.Resolve:
		return false
	}
	return !slices.ContainsFunc(r.Connect, func(port uint16) bool { return !slices.Contains(a.rules.Connect, port) })
}

// real follows the links in the paths, as the kernel does.
func (r Rules) real() Rules {
	r.Read, r.Write = realPaths(r.Read), realPaths(r.Write)
	return r
}

func realPaths(paths []string) (followed []string) {
	for _, path := range paths {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target
		}
		followed = append(followed, path)
	}
	return followed
}

// below reports whether path is one of folders, or in one.
func below(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
	})
}
