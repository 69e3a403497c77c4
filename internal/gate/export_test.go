package gate

// For tests outside of the package, which add the bounds up.
const (
	OwnReadAhead       = ownReadAhead
	OwnOutgoing        = ownOutgoing
	MaxSharedReadAhead = maxSharedReadAhead
	MaxSharedChannels  = maxSharedChannels
	MaxTurning         = maxTurning
)
