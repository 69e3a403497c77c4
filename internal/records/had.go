package records

// Had is the set of types that a host has or ever had. A publisher touches no other
// types: they may belong to somebody else.
type Had uint8

const (
	hadA Had = 1 << iota
	hadAAAA
	hadTXT

	// HadUnknown says that there may have been types besides those in the set:
	// the host is older than the set, or out of a backup, which does not have it.
	HadUnknown
)

// With is s and the types of records.
func (s Had) With(records []Record) Had {
	for _, r := range records {
		s = s.Add(r.Type())
	}
	return s
}

// Add is s and t.
func (s Had) Add(t Type) Had { return s | hadType(t) }

// Has reports whether t is in the set.
func (s Had) Has(t Type) bool { return s&hadType(t) != 0 }

// Perhaps reports whether it is not known if t belongs to the set.
func (s Had) Perhaps(t Type) bool { return !s.Has(t) && s&HadUnknown != 0 }

func hadType(t Type) Had {
	switch t {
	case A:
		return hadA
	case AAAA:
		return hadAAAA
	}
	return hadTXT
}
