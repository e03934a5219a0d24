# SSH_AUTH_SOCK for login shells, the graphical session and qrexec calls.
# The socket exists only where splitvault-ssh is switched on, so that this file
# does nothing elsewhere, nor after splitvault is removed. Not for root; an agent
# that came along with an ssh login stays.
_splitvault_sock="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/ssh/S.ssh-agent"
if [ -S "$_splitvault_sock" ] && [ "$(id -u)" != 0 ] &&
	{ [ -z "${SSH_CONNECTION:-}" ] || [ -z "${SSH_AUTH_SOCK:-}" ]; }; then
	SSH_AUTH_SOCK=$_splitvault_sock
	export SSH_AUTH_SOCK
	unset SSH_AGENT_PID
fi
unset _splitvault_sock
