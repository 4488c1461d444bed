// What our scripts read from Redis, where anybody may have written anything: a piece of Lua for scripts that read entries.
// A script that raises undoes nothing that it wrote before, so rubbish is read as nothing. What it means is each script's own.

/**
 * - `number_of(text)`: 0 for what is no number that a double holds exactly
 * - `field_of(entry, name)`: false for a field that is missing, and for an entry that is no hash
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
