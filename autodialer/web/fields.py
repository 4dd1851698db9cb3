"""The fields that a client sends, as a typed value: the one way from JSON and forms to the operations."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Fields(BaseModel):
    """A request's fields. swagger.yaml has judged their form by then; here they become what the operations take.

    A field that was not sent is not `given`: a change leaves it as it is, while null clears it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @property
    def given(self) -> dict[str, Any]:
        """The fields that were sent, by the names they were sent under, with their values."""
        fields = self.__class__.model_fields
        return {fields[name].alias or name: getattr(self, name) for name in fields if name in self.model_fields_set}

    def asked(self) -> str:
        """The same as text without passwords, to tell two requests apart."""
        return self.model_dump_json(exclude_unset=True, exclude={"password", "password_"})
