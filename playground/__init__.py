"""A page in the browser where one watches networks learn points in the plane."""
