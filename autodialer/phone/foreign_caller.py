"""A caller ID other than the login: some registrars refuse it as if the password were wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ForeignCaller:
    """The caller ID of a call whose From does not name the login."""

    caller_id: str
    login: str
    login_proved: bool
    """The provider has taken login and password for a registration."""

    def explain(self) -> str:
        """Why a call was challenged again, and what to change; for a person."""
        shown = f"the caller ID {self.caller_id} in From, which is not the login {self.login}"
        if self.login_proved:
            lead = (
                f"The provider takes the login and the password for the registration, and refuses a call with {shown}."
            )
        else:
            lead = f"The provider refuses the login or the password, or else it refuses {shown}."
        return (
            f"{lead} Set caller_id_header to p_asserted_identity or p_preferred_identity, so that From names the login,"
            " or leave caller_id empty."
        )


def foreign_caller(
    caller_id: str, *, caller_id_header: str, username: str, auth_username: str, login_proved: bool
) -> ForeignCaller | None:
    """None where the caller ID cannot be to blame: From names the login."""
    logins = {login for login in (username, auth_username) if login}
    if caller_id_header != "from" or not logins or caller_id in logins:
        return None
    return ForeignCaller(caller_id=caller_id, login=username or auth_username, login_proved=login_proved)
