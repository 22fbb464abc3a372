// Package credential finds the login for a registry, keeps secrets out of logs and errors, and stores
// logins where other container tools find them.
//
// A [Chain] is a list of [Lookup] functions. It asks them in order, and the first that knows the
// repository answers. If none knows it, the login is anonymous. A program puts a Chain into
// dray.Config.Logins:
//
//	home, _ := os.UserHomeDir()
//	logins := slices.Concat(
//		credential.Chain{credential.Fixed("prod.example/team", login)},
//		credential.Files{Env: os.Getenv, Home: home}.Lookups(),
//		credential.Clouds{Cloud: credential.Cloud{Env: os.Getenv, Home: home}}.Lookups(),
//	)
//	d, err := dray.New(dray.Config{Logins: logins})
//
// Lookups:
//   - [Fixed] returns a given login for a registry or a path in it.
//   - [Files] reads the login files of docker and podman, and asks their credential helpers. Its methods
//     Save and Erase are the login and logout of a tool.
//   - [Helper] asks one credential helper.
//   - [Clouds] gets a login for the registries of Azure, Amazon, Google and GitHub from the identity that
//     the machine or the person has there. [Azure], [ECR], [Google] and [GHCR] are its parts.
//
// Logins:
//   - [FromPassword], [ParseCreds] and [FromEnv] make a [Login] from what a person or a script provides.
//   - A Login keeps its password in a [Secret], which prints as "[redacted]".
//
// The package makes no request to a registry. A client that uses a Login does what its [Scheme] requires.
//
// # Compatibility
//
// The login files have the format of docker and podman, so that docker, podman, skopeo and crane can read
// what this package writes, and it can read what they write.
//
// # Files
//
// In the order of the walk:
//
//	clouds.go          the lookups of all clouds, and that of GitHub
//	azure_manager.go   Azure: tokens for its resource managers
//	azure.go           Azure: Entra tokens for its registries
//	azure_sources.go   service principals, workload and managed identities, az
//	azure_cloud.go     the separate clouds of Azure
//	google.go          Google: its registries, its metadata service
//	google_adc.go      Google: application default credentials
//	ecr_images.go      ECR: list images with its own API
//	ecr_repository.go  ECR: create repositories, find out if tags are immutable
//	ecr.go             ECR: passwords for its registries
//	aws_profile.go     AWS: where its tools look for keys; profiles
//	aws.go             AWS: keys from the environment, roles, containers and machines
//	sigv4.go           AWS: Signature Version 4
//	cloud_ask.go       requests to a cloud, and what an error may repeat of the answer
//	cloud.go           Cloud, and a cache of logins
//	jwt.go             sign JSON Web Tokens
//	store.go           save and erase logins
//	files.go           look up logins in the files of docker and podman
//	helper.go          credential helpers
//	authfile.go        parse and print one file of logins
//	token.go           recognize passwords and the kinds of tokens
//	settings.go        Settings: how to talk to a registry; proxies of the environment
//	credential.go      Secret, Login, Chain
package credential
