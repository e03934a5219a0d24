package rules

// Default are the rules where there is no file: every qube that dom0's policy
// lets through sees all keys except certificates, and a person is asked for each
// login and each sshsig; all else is denied.
func Default() *File {
	ask := Ask
	return &File{SSH: SSH{
		ShippedKnownHosts: true,
		Rules: []SSHRule{{
			Qube: &QubeGlob{"*"}, Decision: &ask, plainKeys: true,
			source: ruleSource{text: "# login and sshsig with every key that is no certificate\n" +
				"[[ssh.rule]]\nqube     = \"*\"\ndecision = \"ask\""},
		}},
	}}
}
