package wire

import (
	"strings"
	"time"
)

// Prefix is the path below which a server has its REST interface.
const Prefix = "/api/v1"

// MaxWait is the longest time for which a server holds an answer because of "Prefer: wait=N".
const MaxWait = 60 * time.Second

// Jobs is one page of a list of jobs.
type Jobs struct {
	Jobs []Job  `json:"jobs" nullable:"false"`
	Next string `json:"next,omitempty" doc:"value of the parameter after for the next page; absent on the last page"`
}

// Items is one page of the steps of a job.
type Items struct {
	Items []Item `json:"items" nullable:"false"`
	Next  int64  `json:"next,omitempty" doc:"value of the parameter after for the next page; absent on the last page"`
}

// Lines is one page of a job's log.
type Lines struct {
	Lines []Line `json:"lines" nullable:"false"`
	Next  int64  `json:"next,omitempty" doc:"value of the parameter after for the next page; absent on the last page"`
}

// Workers lists the processes that run the jobs of a server.
type Workers struct {
	Workers []Worker `json:"workers" nullable:"false"`
}

// Schedules lists every schedule that the caller may see.
type Schedules struct {
	Schedules []Schedule `json:"schedules" nullable:"false"`
}

// Tokens lists every API token, without its secret.
type Tokens struct {
	Tokens []Token `json:"tokens" nullable:"false"`
}

// Secrets lists every stored login, without the login itself.
type Secrets struct {
	Secrets []Secret `json:"secrets" nullable:"false"`
}

// Registry is a registry that the server's configuration names. Its other settings are not shown.
type Registry struct {
	Name    string   `json:"name"`
	Host    string   `json:"host"`
	Aliases []string `json:"aliases,omitempty" doc:"other names and hosts that mean this registry"`
}

// Registries lists every registry that the server's configuration names.
type Registries struct {
	Registries []Registry `json:"registries" nullable:"false"`
	Default    string     `json:"default,omitempty" doc:"the registry of imports and batches that name no target"`
}

// Entries is one page of the audit log.
type Entries struct {
	Entries []Entry `json:"entries" nullable:"false"`
	Next    int64   `json:"next,omitempty" doc:"value of the parameter after for the next page; absent on the last page"`
}

// TokenPrefix begins the text of each token.
const TokenPrefix = "dray_"

// TokenID returns the id in the text of a token, which is a secret. Any other text, such as an id, is returned as it
// is.
func TokenID(text string) string {
	if rest, ok := strings.CutPrefix(text, TokenPrefix); ok {
		id, _, _ := strings.Cut(rest, "_")
		return id
	}
	return text
}
