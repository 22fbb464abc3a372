package wire

import "time"

// Prefix is where the interface is mounted.
const Prefix = "/api/v1"

// MaxWait is the longest that an answer is held, by Prefer: wait.
const MaxWait = 60 * time.Second

// Jobs is a page.
type Jobs struct {
	Jobs []Job  `json:"jobs" nullable:"false"`
	Next string `json:"next,omitempty" doc:"after of the next page; none where this is the last"`
}

// Items is a page of the steps of a job.
type Items struct {
	Items []Item `json:"items" nullable:"false"`
	Next  int64  `json:"next,omitempty" doc:"after of the next page; none where this is the last"`
}

// Lines is a page of a log.
type Lines struct {
	Lines []Line `json:"lines" nullable:"false"`
	Next  int64  `json:"next,omitempty" doc:"after of the next page; none where this is the last"`
}

// Schedules is all of them.
type Schedules struct {
	Schedules []Schedule `json:"schedules" nullable:"false"`
}

// Tokens is all of them.
type Tokens struct {
	Tokens []Token `json:"tokens" nullable:"false"`
}

// Secrets is all of them, without the logins.
type Secrets struct {
	Secrets []Secret `json:"secrets" nullable:"false"`
}

// Registry is one that is configured: its name, and its host. How it is spoken to is nobody's concern.
type Registry struct {
	Name string `json:"name"`
	Host string `json:"host"`
}

// Registries is all that are configured.
type Registries struct {
	Registries []Registry `json:"registries" nullable:"false"`
}

// Entries is a page of the audit log.
type Entries struct {
	Entries []Entry `json:"entries" nullable:"false"`
	Next    int64   `json:"next,omitempty" doc:"after of the next page; none where this is the last"`
}
