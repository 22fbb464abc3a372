// Package temporal runs the jobs of several servers and workers on Temporal.
package temporal

import _ "go.temporal.io/sdk/worker" // the engine follows
