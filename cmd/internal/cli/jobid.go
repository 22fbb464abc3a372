package cli

import (
	"regexp"
	"sync"
)

// jobForm is a job's id: a ULID.
var jobForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`) })

func isJobID(s string) bool { return jobForm().MatchString(s) }
