"""What may be read from the disk beside the open documents, kept ready as context.

The only room that reads the person's files. It knows no model, no service and no editor: it is told of documents, and
asked for what fits a place.
"""
