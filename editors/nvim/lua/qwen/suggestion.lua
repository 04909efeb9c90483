--- What the server suggests at a place, in bytes; what of it still fits; and putting it into the buffer.
local M = {}

M.method = 'textDocument/inlineCompletion'

---@class qwen.Place The cursor and its line.
---@field row integer From 0.
---@field col integer
---@field line string

---@class qwen.Suggestion
---@field row integer From 0.
---@field start integer Where its text begins.
---@field text string
---@field covered string What stood right of the cursor and is part of the text, closing brackets for instance.
---@field tail string The rest of the line, which stays.
---@field command? lsp.Command

--- The cursor of the window that shows the buffer.
---@param buf integer
---@return qwen.Place
function M.here(buf)
  local window = vim.api.nvim_get_current_buf() == buf and 0 or vim.fn.bufwinid(buf)
  local row, col = unpack(vim.api.nvim_win_get_cursor(window))
  return { row = row - 1, col = col, line = vim.api.nvim_buf_get_lines(buf, row - 1, row, false)[1] or '' }
end

--- An answer to what was asked at a place.
---@param result? lsp.InlineCompletionList|lsp.InlineCompletionItem[]
---@param asked qwen.Place
---@param encoding string
---@return qwen.Suggestion[]
function M.read(result, asked, encoding)
  local suggestions = {}
  for _, item in ipairs(result and (result.items or result) or {}) do
    local start = vim.str_byteindex(asked.line, encoding, item.range.start.character, false)
    local stop = vim.str_byteindex(asked.line, encoding, item.range['end'].character, false)
    table.insert(suggestions, {
      row = item.range.start.line,
      start = start,
      text = item.insertText,
      covered = asked.line:sub(asked.col + 1, stop),
      tail = asked.line:sub(stop + 1),
      command = item.command,
    })
  end
  return suggestions
end

--- What is left of a suggestion to type or to take, and the column up to which it replaces the line. Nil when the text
--- no longer fits: something else than its beginning was typed since.
---@param suggestion qwen.Suggestion
---@param at qwen.Place
---@return string? rest
---@return integer? stop
function M.fit(suggestion, at)
  local stop = #at.line - #suggestion.tail
  if at.row ~= suggestion.row or at.col < suggestion.start or at.line:sub(stop + 1) ~= suggestion.tail then
    return nil
  end
  local typed = at.line:sub(suggestion.start + 1, at.col)
  local rest = suggestion.text:sub(#typed + 1)
  if at.line:sub(at.col + 1, stop) ~= suggestion.covered or typed .. rest ~= suggestion.text or rest == '' then
    return nil
  end
  return rest, stop
end

--- A suggestion as the protocol has it.
---@param suggestion qwen.Suggestion
---@param buf integer
---@param encoding string
---@return lsp.InlineCompletionItem
function M.item(suggestion, buf, encoding)
  local line = vim.api.nvim_buf_get_lines(buf, suggestion.row, suggestion.row + 1, false)[1]
  local function position(byte)
    return { line = suggestion.row, character = vim.str_utfindex(line, encoding, byte, false) }
  end
  return {
    insertText = suggestion.text,
    range = { start = position(suggestion.start), ['end'] = position(#line - #suggestion.tail) },
    command = suggestion.command,
  }
end

--- Whether `text` has the characters of `wanted`, blanks apart, in their order.
local function has(text, wanted)
  local from = 1
  for character in wanted:gmatch('%S') do
    local found = text:find(character, from, true)
    if not found then
      return false
    end
    from = found + 1
  end
  return true
end

--- The first word, line or all of a text; a line break and an indentation go with what follows them.
---@param rest string
---@param unit 'all'|'word'|'line'
---@return string
function M.piece(rest, unit)
  if unit == 'line' then
    return rest:match('^\n*[^\n]*')
  elseif unit == 'word' then
    return rest:match('^%s*[%w_\128-\255]+') or rest:match('^%s*[^%w%s_\128-\255]+') or rest
  end
  return rest
end

--- Puts a piece of a suggestion into the buffer and the cursor behind it, as a step of its own for undo. What is left of
--- it is given back; nil when it was taken whole, which the server is told, or no longer fits.
---@param suggestion qwen.Suggestion
---@param unit 'all'|'word'|'line'
---@param client vim.lsp.Client
---@param buf integer
---@return qwen.Suggestion?
function M.take(suggestion, unit, client, buf)
  local at = M.here(buf)
  local rest, stop = M.fit(suggestion, at)
  if not rest then
    return nil
  end
  local piece = M.piece(rest, unit)
  local left = rest:sub(#piece + 1)
  -- The closers that come later in the text stay where they are; the piece replaces the others.
  local kept = suggestion.covered
  while left == '' and kept ~= '' or not has(left, kept) do
    kept = kept:sub(2)
  end
  local lines = vim.split(piece, '\n', { plain = true })
  vim.bo[buf].undolevels = vim.bo[buf].undolevels -- closes the undo block, |undo-break|
  vim.api.nvim_buf_set_text(buf, at.row, at.col, at.row, stop - #kept, lines)
  local row, col = at.row + #lines - 1, (#lines == 1 and at.col or 0) + #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + 1, col })
  if left ~= '' then
    return vim.tbl_extend('force', suggestion, { row = row, start = col, text = left, covered = kept })
  end
  if suggestion.command then
    client:exec_cmd(suggestion.command, { bufnr = buf })
  end
end

return M
