//go:build race && unix

package job_test

const racing = true
