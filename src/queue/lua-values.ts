// Lua functions for reading values that may be invalid: other programs can write to the same Redis.
// An error in a script does not undo its earlier writes, so an invalid value is read as 0 or as missing.

/**
 * - `number_of(text)`: 0 for text that is not a number, or one that a double does not hold exactly
 * - `field_of(entry, name)`: false for a missing field, and for an entry that is not a hash
 */
export const VALUES = `
  local function number_of(text)
    local number = tonumber(text)
    if number and number > -9007199254740992 and number < 9007199254740992 then return number end
    return 0
  end
  local function field_of(entry, name)
    local value = redis.pcall('HGET', entry, name)
    return type(value) == 'string' and value
  end`;
