// Package sshguard is the agent firewall of the vault: it reads one client
// qube's agent messages, which may be hostile, and lets through what the vault's
// owner allows, and nothing else.
//
// Three requests reach anything: the list of keys, which is answered filtered; a
// sign request, whose data is classified and judged by the rules; and a
// session-bind, which is verified here. Every other message is answered by
// SSH_AGENT_FAILURE and reaches no agent.
package sshguard
