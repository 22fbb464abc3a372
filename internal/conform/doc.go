// Package conform is what every transfer.Source and transfer.Target of this
// module is held to, and a repository in memory for tests of what stands above
// them. Only tests import it.
package conform
