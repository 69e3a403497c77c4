// Package confine takes from the running process what it no longer needs:
// privileges that a program could gain by its file's mode, core dumps, and,
// where the kernel has Landlock, all files and ports but a few. It trusts
// the rules that it is given, and refuses paths that are not there, for they
// could not be allowed later.
package confine

// Rules say what is still needed.
type Rules struct {
	Read    []string // files, and folders with all below them
	Write   []string // folders, whose files may be made, changed and removed, and all below them
	Connect []uint16 // TCP ports of servers; UDP is not confined
	Resolve bool     // servers have names, which are to be looked up

	// Commands says that the operator's own commands are run. They are
	// confined too, in what they may write: Write, the folders for temporary
	// files, and /run, where others wait for them. They may read and run all that the process's user may,
	// and talk to whom they like.
	Commands bool
}
